"""Any folder of pictures as a dataset: all are made square and resized to one size, decoded once, and mapped into
memory.

The cache is described in cache.py, the treatment of a picture in decode.py, and which files count in listing.py.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Batch, Dataset, Field, GanzooError, Option, UsageError, warn
from ganzoo_images.cache import Cache, Decoded, default_folder
from ganzoo_images.decode import Background, Channels
from ganzoo_images.listing import Source, find
from ganzoo_images.shards import mapped

_NAMED = 10  # broken files that are named
_KID = 1000  # samples that a kernel distance needs

Size = Annotated[int, Option("Pixels per side: the shorter side is resized to it, the center is kept", ge=4, le=4096)]
CacheFolder = Annotated[
    str | None, Option("Folder for decoded pictures, instead of ~/.cache/ganzoo (or $XDG_CACHE_HOME/ganzoo)")
]


class Pictures(Dataset):
    """Decoded pictures: ``image`` (C, size, size), and ``label`` if they have classes. Their files are mapped into
    memory, so they may exceed it. A copy of the dataset in another process maps the same files.

    Attributes:
        class_names: names of the labels 0, 1, ...; empty if there are none.
    """

    extractor = "thumbnail"

    def __init__(self, decoded: Decoded, labels: Tensor | None = None, class_names: tuple[str, ...] = ()) -> None:
        self._files = [(shard.path, tuple(shard.pixels.shape)) for shard in decoded.shards]
        self._ends = list(accumulate(len(shard.pixels) for shard in decoded.shards))
        channels = max((shard.pixels.shape[1] for shard in decoded.shards), default=1)
        self.fields = {"image": Field((channels, *decoded.shards[0].pixels.shape[2:]))}
        self._pixels = self._with_channels(shard.pixels for shard in decoded.shards)
        self._labels = labels
        self._tensors: Batch | None = None
        self.class_names = class_names
        if labels is not None:
            self.fields["label"] = Field((), torch.int64, len(class_names))
        self.metrics = ("kid", "prdc") if len(self) >= _KID else ("prdc",)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Batch:
        index = range(len(self))[index]
        shard = bisect_right(self._ends, index)
        start = self._ends[shard - 1] if shard else 0
        return self._with_labels(self._pixels[shard][index - start], index)

    def tensors(self) -> Batch | None:
        """Return all pictures, or None if they take more than half of the memory. One shard is not copied."""
        size = len(self) * prod(self.fields["image"].shape)
        if self._tensors is None and (len(self._pixels) == 1 or size <= _memory() / 2):
            pixels = self._pixels[0] if len(self._pixels) == 1 else torch.cat(self._pixels)
            self._tensors = self._with_labels(pixels, slice(None))
        return self._tensors

    def fingerprint(self) -> str:
        """Return a hash of all pictures and labels, shard by shard: also if they exceed the memory."""
        labels = [] if self._labels is None else self._labels.tolist()
        digest = hashlib.sha256(json.dumps([len(self), self.class_names, labels]).encode())
        for pixels in self._pixels:
            digest.update(pixels.contiguous().numpy().data)
        return digest.hexdigest()

    def __getstate__(self) -> Mapping[str, object]:
        return {**vars(self), "_pixels": None, "_tensors": None}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        vars(self).update(state)
        try:
            self._pixels = self._with_channels(mapped(path, shape) for path, shape in self._files)
        except (OSError, RuntimeError) as error:
            raise GanzooError(f"The cache is gone, because its pictures changed: {error}. Start again.") from error

    def _with_channels(self, shards: Iterable[Tensor]) -> list[Tensor]:
        return [pixels.expand(-1, self.fields["image"].shape[0], -1, -1) for pixels in shards]

    def _with_labels(self, pixels: Tensor, index: int | slice) -> Batch:
        return {"image": pixels} if self._labels is None else {"image": pixels, "label": self._labels[index]}


class Folder(Pictures):
    """Pictures of a folder and its subfolders: ``image`` (1 or 3, size, size) in [-1, 1]. If all of them are in
    subfolders, the top subfolders are classes: ``label`` 0, 1, ... in the order of their names.

    Raises:
        UsageError: there is no such folder, it has no pictures, or some are unreadable and ``broken`` is "stop".
        GanzooError: there is not enough disk space for the cache.
    """

    location_options = ("path", "cache")

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


def _memory() -> int:
    """Return the bytes of memory of this machine, or of its container; 8 GiB if unknown."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 8 << 30]
    with suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)


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
