"""Any folder of pictures as a dataset: all are made square and resized to one size, decoded once, and mapped into
memory.

The cache is described in cache.py, the treatment of a picture in decode.py, and which files count in listing.py.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo import Batch, Field, GanzooError, UsageError, warn
from ganzoo_images import classes, options
from ganzoo_images.archives import folder_of
from ganzoo_images.cache import Cache, Decoded, default_folder
from ganzoo_images.decode import Treatment, allowing
from ganzoo_images.levels import measured
from ganzoo_images.listing import Source, counts, file_of, find, with_pages
from ganzoo_images.lite0 import default_extractor
from ganzoo_images.pictures import PictureDataset, mirrored
from ganzoo_images.shards import mapped

_NAMED = 10  # broken files that are named
_DARK = 32  # of 255; if no pixel is lighter, something is wrong
SPLITS = {"train": ("train", "training"), "validation": ("valid", "val", "validation"), "test": ("test", "testing")}
"""Splits, and the names of their folders."""


class Pictures(PictureDataset):
    """Decoded pictures: ``image`` (C, size, size), and ``label`` if they have classes. Their files are mapped into
    memory, so they may exceed it. A copy of the dataset in another process maps the same files.
    """

    def __init__(
        self,
        decoded: Decoded,
        labels: Tensor | None = None,
        class_names: tuple[str, ...] = (),
        channels: int = 1,
    ) -> None:
        self._files = [(shard.path, tuple(shard.pixels.shape)) for shard in decoded.shards]
        self._ends = list(accumulate(len(shard.pixels) for shard in decoded.shards))
        channels = max(channels, decoded.channels)
        self.fields = {"image": Field((channels, *decoded.shards[0].pixels.shape[2:]))}
        self._pixels = self._with_channels(shard.pixels for shard in decoded.shards)
        self._labels = labels
        self._tensors: Batch | None = None
        if labels is not None:
            self.fields["label"] = Field((), torch.int64, len(class_names), class_names)
        self.extractor = default_extractor(channels)

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
        if self._tensors is None and (len(self._pixels) == 1 or size <= memory() / 2):
            pixels = self._pixels[0] if len(self._pixels) == 1 else torch.cat(self._pixels)
            self._tensors = self._with_labels(pixels, slice(None))
        return self._tensors

    def fingerprint(self) -> str:
        """Return a hash of all pictures and labels, shard by shard: also if they exceed the memory."""
        labels = [] if self._labels is None else self._labels.tolist()
        digest = hashlib.sha256(json.dumps([len(self), labels]).encode())
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
    """Pictures of a folder and its subfolders, or of a .zip: ``image`` (C, size, size) in [-1, 1]. If all of
    them are in subfolders, the top subfolders are classes: ``label`` 0, 1, ... in the order of their names. A file of
    labels may name the classes instead. Folders called train, valid and test are splits, and the classes are in them.

    Raises:
        UsageError: there is no such folder or split, it has no pictures, or some are unreadable and ``broken`` is
            "stop".
        GanzooError: there is not enough disk space for the cache.
    """

    location_options = ("path", "cache")
    opens: ClassVar[tuple[str, ...]] = ("/", ".zip")

    def __init__(
        self,
        *,
        path: options.Path,
        size: options.Size = 64,
        channels: options.AnyChannels = "auto",
        background: options.Background = "white",
        fit: options.Fit = "crop",
        range: options.FolderRange = None,  # noqa: A002
        mirror: options.Mirror = False,
        split: options.Splits = "train",
        labels: options.Labels = None,
        pages: options.Pages = "all",
        max_pixels: options.MaxPixels = None,
        broken: options.Broken = "skip",
        cache: options.CacheFolder = None,
    ) -> None:
        how = Treatment(size, channels, background, fit, None if range == "measured" else range, max_pixels=max_pixels)
        root = Path(path).expanduser()
        if root.suffix.lower() == ".zip" and root.is_file():
            root = folder_of(root, cache_folder(cache))
        sources, others = find(root)
        chosen, top = _of_split(sources, split, root)
        left_out = [f"{len(sources) - len(chosen):,} in other splits"] if len(chosen) < len(sources) else []
        known = classes.find(root, labels)
        labeled = classes.classes_of([source.name for source in sources], known)
        if known:
            count, chosen = len(chosen), [source for source in chosen if source.name in labeled]
            left_out += [f"{count - len(chosen):,} without a label"] if len(chosen) < count else []
            if not chosen:
                raise UsageError(f"data.labels: none of the {count:,} pictures in {root} is in the file of labels.")
        left_out += [counts(others)] if others else []
        if left_out:
            warn(f"{root}: these files are left out: {', '.join(left_out)}.")
        as_they_are = isinstance(channels, int)
        with allowing(max_pixels):
            used = sources if range == "measured" else chosen  # over all splits, so that they have the same levels
            paged = with_pages(used, as_they_are) if pages == "all" else used
            if range == "measured":
                how = replace(how, range=measured(paged, root, as_they_are))
        names = {source.name for source in chosen}
        chosen = [source for source in paged if file_of(source.name) in names]
        decoded = decode_all(chosen, root, cache, how, part=top.rstrip("/"), stop=broken == "stop")
        found: Tensor | None
        if known:
            found, class_names = classes.numbered([labeled[file_of(name)] for name in decoded.names], labeled.values())
        else:
            listed = [source.name.partition("/")[2] for source in sources] if top else []
            found, class_names = classes.of_subfolders([n.removeprefix(top) for n in decoded.names], root, listed)
        super().__init__(decoded, found, class_names)
        self._mirror = mirror
        if all(int(shard.pixels.max()) < _DARK for shard in decoded.shards if shard.pixels.numel()):
            warn(f"The pictures in {root} are almost black. If they are gray, 12 bits of 16: --set data.range=[0,4095]")

    def prepare(self, stored: Batch) -> Batch:
        batch = dict(super().prepare(stored))
        if self._mirror:
            (batch["image"],) = mirrored(batch["image"])
        return batch


def decode_all(
    sources: list[Source],
    root: Path,
    cache: str | None,
    how: Treatment,
    *,
    part: str = "",
    stop: bool = False,
) -> Decoded:
    """Return the pictures of these files of ``root``. Unreadable ones are left out, with a warning that names them.
    ``part`` is the part of the folder that they are; each has a cache of its own.

    Raises:
        UsageError: none is readable, or one is not and ``stop`` is true, or the cache cannot be used.
        GanzooError: there is not enough disk space for the cache.
    """
    decoded = Cache(root.resolve(), part, cache_folder(cache), how).decoded(sources)
    if decoded.broken:
        what = f"{len(decoded.broken):,} of {len(sources):,} pictures in {root} cannot be read"
        reasons: dict[str, list[str]] = {}
        for name, why in sorted(decoded.broken.items()):
            reasons.setdefault(why, []).append(name)
        listed = "; ".join(f"{_named(names)} ({why})" for why, names in list(reasons.items())[:_NAMED])
        listed += "; and others" * (len(reasons) > _NAMED)
        if stop or not decoded.names:
            otherwise = ", or leave them out: data.broken = 'skip'" if stop and decoded.names else ""
            raise UsageError(f"{what}: {listed}. Remove or repair them{otherwise}.")
        warn(f"{what} and are left out: {listed}.")
    return decoded


def cache_folder(given: str | None) -> Path:
    """Return the folder of all caches."""
    return Path(given).expanduser().absolute() if given else default_folder()


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _of_split(sources: list[Source], split: str | Sequence[str], root: Path) -> tuple[list[Source], str]:
    """Return the files of a split and the start of their names, ``train/``. A folder that is not laid out in splits is
    the split train, and the start is empty.

    Raises:
        UsageError: there is no such split.
    """
    tops = {source.name.partition("/")[0] for source in sources}
    known = {name: kind for kind, names in SPLITS.items() for name in names}
    present = {known[top.lower()]: top for top in tops if top.lower() in known}
    if "train" not in present or len(present) < len(tops):
        if len(present) > 1 and "train" in present:
            warn(f"{root} has other folders beside {' and '.join(sorted(present.values()))}, so these are no splits.")
        present = {"train": ""}
    folder = present[chosen_split(split, present, root)]
    top = f"{folder}/" if folder else ""
    return [source for source in sources if source.name.startswith(top)], top


def chosen_split(split: str | Sequence[str], present: Collection[str], root: Path) -> str:
    """Return the first of these splits that a folder has, with a warning if a list ends in the training pictures.

    Raises:
        UsageError: it has none of them.
    """
    wanted = [split] if isinstance(split, str) else split
    found = next((name for name in wanted if name in present), None)
    if found is None:
        names = ", ".join(name for name in SPLITS if name in present)
        raise UsageError(f"data.split = {', '.join(wanted)!r}: {root} has no pictures for that. Available: {names}.")
    if found == "train" and len(wanted) > 1:
        warn(f"{root} has no pictures for validation or testing: the training pictures are used.")
    return found


def memory() -> int:
    """Return the bytes of memory of this machine, or of its container; 8 GiB if unknown."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 8 << 30]
    with suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)
