"""A user's own pairs of pictures, or two sets of pictures without pairs, for image-to-image models."""

import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from ganzoo import Batch, Dataset, Field, Option, UsageError, warn
from ganzoo_images import options
from ganzoo_images.cache import Decoded
from ganzoo_images.decode import Treatment
from ganzoo_images.folder import Pictures, chosen_split, decode_all, memory
from ganzoo_images.layouts import SHOWN, Layout, find_layout, is_wide_picture, key_of
from ganzoo_images.listing import Source
from ganzoo_images.pictures import mirrored
from ganzoo_images.progress import say

SEED = 2017
"""Seed of the order in which two sets without pairs meet. It is part of the dataset."""

Sides = tuple[list[Source], list[Source]]


class Pairs(Dataset):
    """Pairs of pictures in a folder: ``image`` (C, size, size), the target, and ``source`` (c, size, size), both in
    [-1, 1]. The folder has pictures of equal names in ``A`` and ``B`` (pairs), or in ``trainA`` and ``trainB`` (two
    sets without pairs), or pictures twice as wide as high (pairs side by side). Without pairs, an epoch is one pass
    through the larger set, and the smaller one repeats.

    Raises:
        UsageError: the folder is laid out otherwise, lacks the split, or has no pairs.
        GanzooError: there is not enough disk space for the cache.
    """

    location_options = ("path", "cache")
    opens = ("/",)
    opens_for = ("source",)
    eval_options: ClassVar[Mapping[str, Any]] = {"split": options.EVALUATION, "mirror": False}
    validation_options: ClassVar[Mapping[str, Any]] = {"split": options.VALIDATION}

    def __init__(
        self,
        *,
        path: options.Path,
        size: options.Size = 64,
        direction: Annotated[Literal["AtoB", "BtoA"], Option("AtoB: A (the left half) is the source")] = "AtoB",
        paired: Annotated[bool | None, Option("Whether A and B are pairs; by default, as the layout says")] = None,
        channels: options.Channels = "auto",
        background: options.Background = "white",
        fit: options.Fit = "crop",
        range: options.Range = None,  # noqa: A002
        mirror: Annotated[bool, Option("Mirror half of the pictures at random; those of a pair together")] = False,
        split: options.Splits = "train",
        broken: options.Broken = "skip",
        cache: options.CacheFolder = None,
    ) -> None:
        root = Path(path).expanduser()
        layout = find_layout(root)
        self._paired, self._mirror = layout.paired if paired is None else paired, mirror
        present = [name for name, both in layout.sides.items() if all(both)]
        chosen = chosen_split(split, present, root)
        every = {**layout.sides, chosen: _matched(layout, chosen, root) if self._paired else layout.sides[chosen]}
        if channels != "auto":
            every = {chosen: every[chosen]}  # otherwise a picture in color in any split makes all of its side color
        sides: list[Pictures] = []
        names: list[list[str]] = []
        halves: tuple[Any, ...] = ("left", "right") if layout.wide else ("", "")
        for side, half in enumerate(halves):
            how = Treatment(size, channels, background, fit, range, half)
            found = {
                name: decode_all(both[side], root, cache, how, part=f"{name}-{'AB'[side]}", stop=broken == "stop")
                for name, both in every.items()
            }
            sides.append(Pictures(found[chosen], channels=max(part.channels for part in found.values())))
            names.append(found[chosen].names)
            if layout.wide:  # a broken one is named once
                every = {name: _readable(both, found[name]) for name, both in every.items()}
        rows = _paired_rows(*names) if self._paired else _unpaired_rows(len(names[0]), len(names[1]))
        order = (1, 0) if direction == "AtoB" else (0, 1)  # the image, the source
        self._sides = {name: sides[side] for name, side in zip(("image", "source"), order, strict=True)}
        self._rows = {name: rows[side] for name, side in zip(("image", "source"), order, strict=True)}
        self.fields = {name: side.fields["image"] for name, side in self._sides.items()}
        meta = {"half": halves[order[1]]} if layout.wide else {}
        meta |= {} if self._paired else {"paired": False}
        self.fields["source"] = replace(self.fields["source"], meta=meta)
        measured, self.extractor = self._sides["image"].metrics, self._sides["image"].extractor
        self.metrics = ("l1", *measured) if self._paired else measured
        self._tensors: Batch | None = None
        self._tell(layout, root, chosen, direction, names)

    def __len__(self) -> int:
        return len(self._rows["image"])

    @classmethod
    def decode_input(cls, content: bytes, field: Field, options: Mapping[str, Any]) -> Tensor:
        """Return a picture treated as those of the dataset were. ``half`` of a field says where the sources were in
        pictures of pairs side by side."""
        if (half := field.meta.get("half")) and is_wide_picture(io.BytesIO(content)):
            warnings.warn(
                "it is twice as wide as high, like the pairs that the run was trained on, and is used as one picture. "
                f"If it is a pair too, cut out its {half} half, which is the source, and give that",
                stacklevel=2,
            )
        return Pictures.decode_input(content, field, options)

    def __getitem__(self, index: int) -> Batch:
        return {name: side[int(self._rows[name][index])]["image"] for name, side in self._sides.items()}

    def tensors(self) -> Batch | None:
        size = len(self) * sum(prod(field.shape) for field in self.fields.values())
        if self._tensors is None and size <= memory() / 2:
            stored = {name: side.tensors() for name, side in self._sides.items()}
            if all(stored.values()):
                self._tensors = {
                    name: _selected(both["image"], self._rows[name]) for name, both in stored.items() if both
                }
        return self._tensors

    def fingerprint(self) -> str:
        """Return a hash of all pictures, and of which belong together."""
        found = [(name, side.fingerprint(), self._rows[name].tolist()) for name, side in self._sides.items()]
        return hashlib.sha256(json.dumps([self._paired, found]).encode()).hexdigest()

    def prepare(self, stored: Batch) -> Batch:
        batch = dict(super().prepare(stored))
        if self._mirror and self._paired:
            batch = dict(zip(batch, mirrored(*batch.values()), strict=True))
        elif self._mirror:
            batch = {name: mirrored(pictures)[0] for name, pictures in batch.items()}
        return batch

    def __getstate__(self) -> Mapping[str, object]:
        return {**vars(self), "_tensors": None}

    def _tell(self, layout: Layout, root: Path, chosen: str, direction: str, names: list[list[str]]) -> None:
        """Say what was found, and what was passed over."""
        if layout.others:
            warn(f"{root}: these files are left out: {', '.join(layout.others)}.")
        first, second = names
        what = f"{len(first):,} pictures in A and {len(second):,} in B, no pairs"
        if self._paired:
            what = f"{len(self):,} pairs"
        where = "the left half" if layout.wide else "A"
        other = "the right half" if layout.wide else "B"
        source = where if direction == "AtoB" else other
        say(f"{root} ({layout.words}), {chosen}: {what}; {source} is the source.")
        if not self._paired and not {*map(key_of, first)}.isdisjoint(map(key_of, second)):
            say("  Some of A have the names of some of B. If these are pairs: --set data.paired=true")


def _matched(layout: Layout, split: str, root: Path) -> Sides:
    """Return the files of A and B that have a partner, in the same order.

    Raises:
        UsageError: none has.
    """
    if layout.wide:
        return layout.sides[split]
    first, second = ({key_of(source.name): source for source in reversed(side)} for side in layout.sides[split])
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise UsageError(
            f"{root} ({layout.words}), {split}: no picture of A has the name of one of B, so there are no pairs. "
            f"Rename them, or use a model that learns without pairs, with --set data.paired=false. The layouts:{SHOWN}"
        )
    alone = [len(side) - len(shared) for side in layout.sides[split]]
    if any(alone):
        warn(f"{root}, {split}: left out, without a partner of the same name: {alone[0]:,} of A and {alone[1]:,} of B.")
    return [first[key] for key in shared], [second[key] for key in shared]


def _readable(both: Sides, decoded: Decoded) -> Sides:
    good = set(decoded.names)
    first, second = ([source for source in side if source.name in good] for side in both)
    return first, second


def _paired_rows(first: Sequence[str], second: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the rows (n,) of both sides that belong together: those whose partner could be read."""
    here, there = ({key_of(name): row for row, name in enumerate(names)} for names in (first, second))
    shared = [key for key in here if key in there]
    return torch.tensor([here[key] for key in shared]), torch.tensor([there[key] for key in shared])


def _unpaired_rows(first: int, second: int) -> tuple[Tensor, Tensor]:
    """Return rows (n,) of both sides, where n is the larger number; the smaller side repeats. They meet in a random
    order, and pictures in the same place never meet."""
    n = max(first, second)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(SEED))
    place = torch.arange(n)
    return place % first, torch.empty_like(place).index_copy_(0, order, order.roll(1) % second)


def _selected(pixels: Tensor, rows: Tensor) -> Tensor:
    """Return rows of pixels, without a copy if they are all rows in order."""
    everything = len(rows) == len(pixels) and bool((rows == torch.arange(len(rows))).all())
    return pixels if everything else pixels.index_select(0, rows)
