"""Any folder of pictures as a data set: all made square and of one size, decoded once, mapped into memory.

Its cache is described in cache.py, what happens to a picture in decode.py, which files count in listing.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Batch, Data, Field, GanzooError, Option, UsageError
from ganzoo.plugins import warn
from ganzoo_images.cache import Cache, Decoded, default_folder
from ganzoo_images.decode import Background, Channels
from ganzoo_images.listing import Source, find
from ganzoo_images.store import mapped

_NAMED = 10  # broken files that are named
_KID = 1000  # samples that a kernel distance takes

Size = Annotated[
    int, Option("Pixels of each side: the shorter one is resized to it, and the centre kept", ge=4, le=4096)
]
CacheFolder = Annotated[
    str | None, Option("Folder for decoded pictures, instead of ~/.cache/ganzoo (or $XDG_CACHE_HOME/ganzoo)")
]


class Pictures(Data):
    """Decoded pictures: ``image`` (C, size, size), and perhaps ``label``. They are in a file that is mapped into
    memory, so they may be more than memory holds; a copy in another process maps the same file.

    Attributes:
        class_names: of the labels 0, 1, ...; empty where there are none.
    """

    extractor = "thumbnail"

    def __init__(self, decoded: Decoded, labels: Tensor | None = None, class_names: tuple[str, ...] = ()) -> None:
        self._path, self._shape = decoded.path, tuple(decoded.pixels.shape)
        self._tensors = {"image": decoded.pixels}
        self.fields = {"image": Field(self._shape[1:])}
        self.class_names = class_names
        if labels is not None:
            self._tensors["label"] = labels
            self.fields["label"] = Field((), torch.int64, len(class_names))
        self.metrics = ("kid", "prdc") if len(self) >= _KID else ("prdc",)

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, index: int) -> Batch:
        return {name: value[index] for name, value in self._tensors.items()}

    def tensors(self) -> Batch:
        return self._tensors

    def __getstate__(self) -> Mapping[str, object]:
        rest = {name: value for name, value in self._tensors.items() if name != "image"}
        return {**vars(self), "_tensors": rest}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        vars(self).update(state)
        try:
            self._tensors = {"image": mapped(self._path, self._shape), **self._tensors}
        except OSError as error:
            raise GanzooError(f"The cache {self._path} is gone: its pictures changed. Start again.") from error


class Folder(Pictures):
    """Pictures of a folder and its sub-folders: ``image`` (1 or 3, size, size) in [-1, 1]. Where all are in
    sub-folders, these are classes: ``label`` 0, 1, ... in the order of their names.

    Raises:
        UsageError: there is no such folder, or no picture in it, or ``broken`` = "stop" and some cannot be read.
        GanzooError: there is no room for the cache.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, Option("The folder of pictures", min_length=1)],
        size: Size = 64,
        channels: Annotated[Channels, Option("auto: grey if all pictures are, else colour")] = "auto",
        background: Annotated[Background, Option("What shows through transparent pictures")] = "white",
        broken: Annotated[Literal["skip", "stop"], Option("What to do if pictures cannot be read")] = "skip",
        cache: CacheFolder = None,
    ) -> None:
        root = Path(path).expanduser()
        sources = find(root).sources
        decoded = decode_all(
            sources, root, cache, size=size, channels=channels, background=background, stop=broken == "stop"
        )
        labels, class_names = _classes(decoded.names, root)
        super().__init__(decoded, labels, class_names)


def decode_all(
    sources: list[Source],
    root: Path,
    cache: str | None,
    *,
    part: str = "",
    size: int,
    channels: Channels = "auto",
    background: Background = "white",
    stop: bool = False,
) -> Decoded:
    """Return the pictures of these files of ``root``. Those that cannot be read are named, and left out.

    Raises:
        UsageError: none can be read, or one cannot and ``stop`` says to; or the cache cannot be used.
        GanzooError: there is no room for the cache.
    """
    base = Path(cache).expanduser().absolute() if cache else default_folder()
    options = {"size": size, "channels": channels, "background": background}
    decoded = Cache(root.resolve(), part, base, **options).decoded(sources)
    if decoded.broken:
        what = f"{len(decoded.broken):,} of {len(sources):,} pictures in {root} cannot be read"
        named = [f"{name} ({why})" for name, why in sorted(decoded.broken.items())]
        more = [f"and {len(named) - _NAMED:,} more"] if len(named) > _NAMED else []
        listed = "; ".join([*named[:_NAMED], *more])
        if stop or not decoded.names:
            otherwise = ", or leave them out: data.broken = 'skip'" if stop and decoded.names else ""
            raise UsageError(f"{what}: {listed}. Remove or repair them{otherwise}.")
        warn(f"{what} and are left out: {listed}.")
    return decoded


def _classes(names: list[str], root: Path) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return labels (n,) int64 and what they are called, where the first parts of all names are sub-folders."""
    tops = [name.partition("/")[0] if "/" in name else None for name in names]
    if None in tops:
        if any(tops):
            warn(f"{root} has pictures beside its sub-folders: all are used, and no folder is taken for a class.")
        return None, ()
    class_names = tuple(sorted(set(tops)))
    number = {name: label for label, name in enumerate(class_names)}
    return torch.tensor([number[top] for top in tops]), class_names
