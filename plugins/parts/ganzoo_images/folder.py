"""Any folder of pictures as a dataset: all are made square and resized to one size, decoded once, and mapped into
memory.

The cache is described in cache.py, the treatment of a picture in decode.py, and which files count in listing.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Batch, Dataset, Field, GanzooError, Option, UsageError, warn
from ganzoo_images.cache import Cache, Decoded, default_folder
from ganzoo_images.decode import Background, Channels
from ganzoo_images.listing import Source, find
from ganzoo_images.store import mapped

_NAMED = 10  # broken files that are named
_KID = 1000  # samples that a kernel distance needs

Size = Annotated[int, Option("Pixels per side: the shorter side is resized to it, the center is kept", ge=4, le=4096)]
CacheFolder = Annotated[
    str | None, Option("Folder for decoded pictures, instead of ~/.cache/ganzoo (or $XDG_CACHE_HOME/ganzoo)")
]


class Pictures(Dataset):
    """Decoded pictures: ``image`` (C, size, size), and ``label`` if they have classes. They are in a file that is
    mapped into memory, so they may exceed it; a copy of the dataset in another process maps the same file.

    Attributes:
        class_names: names of the labels 0, 1, ...; empty if there are none.
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
    """Pictures of a folder and its subfolders: ``image`` (1 or 3, size, size) in [-1, 1]. If all of them are in
    subfolders, the top subfolders are classes: ``label`` 0, 1, ... in the order of their names.

    Raises:
        UsageError: there is no such folder, it has no pictures, or some are unreadable and ``broken`` is "stop".
        GanzooError: there is not enough disk space for the cache.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, Option("Folder of pictures", min_length=1)],
        size: Size = 64,
        channels: Annotated[Channels, Option("Gray or color; auto: gray if all pictures are")] = "auto",
        background: Annotated[Background, Option("Color behind transparent pictures")] = "white",
        broken: Annotated[Literal["skip", "stop"], Option("What to do about unreadable pictures")] = "skip",
        cache: CacheFolder = None,
    ) -> None:
        root = Path(path).expanduser()
        decoded = decode_all(
            find(root), root, cache, size=size, channels=channels, background=background, stop=broken == "stop"
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
    """Return the pictures of these files of ``root``. Unreadable ones are left out, with a warning that names them.

    Raises:
        UsageError: none is readable, or one is not and ``stop`` is true, or the cache cannot be used.
        GanzooError: there is not enough disk space for the cache.
    """
    base = Path(cache).expanduser().absolute() if cache else default_folder()
    folder = Cache(root.resolve(), part, base, size=size, channels=channels, background=background)
    decoded = folder.decoded(sources)
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
    """Return labels (n,) int64 and class names, or None and no names unless all files are in subfolders."""
    tops = [name.partition("/")[0] for name in names if "/" in name]
    if len(tops) < len(names):
        if tops:
            warn(f"{root} has pictures beside its subfolders: all are used, without classes.")
        return None, ()
    class_names = tuple(sorted(set(tops)))
    number = {name: label for label, name in enumerate(class_names)}
    return torch.tensor([number[top] for top in tops]), class_names
