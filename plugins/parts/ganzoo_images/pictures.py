"""What all datasets of pictures have in common, and those whose pictures are decoded each time they are drawn."""

from abc import abstractmethod
from collections.abc import Mapping
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from ganzoo import Batch, Dataset, Field, GanzooError, warn
from ganzoo.images import from_bytes, shown
from ganzoo_images.decode import Broken, Channels, Treatment, allowing, decode
from ganzoo_images.lite0 import default_extractor

_TRIED = 100  # pictures in a row; if all are unreadable, something else is wrong


class PictureDataset(Dataset):
    """A dataset whose target is a picture, ``image`` (1, 3 or 4, height, width) in [-1, 1]."""

    metrics: tuple[str, ...] = ("kd", "prdc", "authenticity-pyramid")

    @classmethod
    def decode_input(cls, content: bytes, field: Field, options: Mapping[str, Any]) -> Tensor:
        """Return a picture treated as those of the dataset were, see ``Dataset.decode_input``."""
        if len(field.shape) != 3 or field.shape[0] not in (1, 3):
            raise ValueError(f"a picture has the shape (1 or 3, height, width), not {field.shape}")
        how = {name: options[name] for name in ("background", "behind", "fit", "range") if name in options}
        _, height, width = field.shape
        channels: Channels = "gray" if field.shape[0] == 1 else "color"
        size = f"{height}x{width}" if min(height, width) > 0 else None
        try:
            return from_bytes(torch.from_numpy(decode(content, Treatment(size, channels, **how))))
        except Broken as error:
            raise ValueError(str(error)) from error

    def postprocess(self, sample: Tensor) -> Tensor:
        """Return pictures as they are shown, because metrics see colors only: those with transparency on white."""
        return shown(sample)


class EncodedPictures(PictureDataset):
    """Pictures that stay as they are in their files, and are decoded each time they are drawn: neither memory nor the
    disk needs room for their pixels. ``image``, and ``label`` if they have classes.

    Args:
        how: what is made of a picture; its channels are known beforehand.
        labels: int64 (n,), or None.
        class_names: of the labels 0, 1, ...
        mirror: mirror half of the pictures at random.
        broken: "skip" takes the next picture in place of one that cannot be read, with its label, so that a run stays
            reproducible; "stop" stops.
    """

    def __init__(
        self, how: Treatment, labels: Tensor | None, class_names: tuple[str, ...], *, mirror: bool, broken: str
    ) -> None:
        channels = {"gray": 1, "color": 3, "alpha": 4}[str(how.channels)]
        self.fields = {"image": Field((channels, *how.sides))}
        if labels is not None:
            self.fields["label"] = Field((), torch.int64, len(class_names), class_names)
        self.extractor = default_extractor(channels)
        self._how, self._labels, self._mirror, self._broken = how, labels, mirror, broken
        self._reported: set[int] = set()

    @abstractmethod
    def read(self, index: int) -> bytes:
        """Return the bytes of a picture file.

        Raises:
            Broken: they are not there.
        """

    @abstractmethod
    def name_of(self, index: int) -> str:
        """Return what messages call a picture."""

    def __getitem__(self, index: int) -> Batch:
        index = range(len(self))[index]
        for place in islice(chain(range(index, len(self)), range(index)), _TRIED):
            try:
                with allowing(self._how.max_pixels):
                    pixels = torch.from_numpy(decode(self.read(place), self._how))
            except Broken as error:
                self._report(place, error)
            else:
                return {"image": pixels} if self._labels is None else {"image": pixels, "label": self._labels[place]}
        raise GanzooError(
            f"{self.name_of(index)} and all {min(_TRIED, len(self))} pictures after it cannot be read. Repair the data."
        )

    def prepare(self, stored: Batch) -> Batch:
        batch = dict(super().prepare(stored))
        if self._mirror:
            (batch["image"],) = mirrored(batch["image"])
        return batch

    def _report(self, place: int, error: Broken) -> None:
        what = f"{self.name_of(place)} cannot be read: {error}"
        if self._broken == "stop":
            raise GanzooError(f"{what}. Repair it, or let another take its place: data.broken = 'skip'.")
        if place not in self._reported:
            self._reported.add(place)
            warn(f"{what}. The next picture takes its place.")


def mirrored(*pictures: Tensor) -> tuple[Tensor, ...]:
    """Return batches of pictures (n, C, H, W) with a random half of their rows mirrored, the same rows in each."""
    chosen = torch.rand(len(pictures[0]), 1, 1, 1, device=pictures[0].device) < 0.5
    return tuple(torch.where(chosen, picture.flip(3), picture) for picture in pictures)
