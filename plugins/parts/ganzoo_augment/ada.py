"""Adaptive discriminator augmentation.

Paper: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020,
    https://arxiv.org/abs/2006.06676, sections 2 and 3, and appendix B for the transformations
    Each is applied to each sample with the same probability p, which follows the overfitting of D (see ``Adaptive``):
    blit: horizontal flip, rotation by a multiple of 90 degrees, translation by whole pixels up to an eighth of the side
    geometry: scaling by 2^N(0, 0.2^2), rotation by any angle, scaling of x by the same kind of factor and of y by its
        inverse, rotation, translation by N(0, 0.125^2) of the side
    color: brightness + N(0, 0.2^2), contrast * 2^N(0, 0.5^2), flip of the luma axis, rotation about it (hue),
        saturation * 2^N(0, 1)
    Each of the two rotations has the probability 1 - sqrt(1 - p), so that together they have p.
Departures: bilinear interpolation, without the paper's oversampling and low-pass filter. Images that are not square
    are rotated by 180 degrees only. The paper's filtering and corruption, which did not help there, are left out.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Field, Model, Option
from ganzoo_augment.adaptive import Adaptive, Samples, Target
from ganzoo_augment.diffaugment import check_images

Groups = Annotated[
    tuple[Literal["blit", "geometry", "color"], ...],
    Option("Groups of transformations: blit (flips, turns, shifts), geometry, color", min_length=1),
]


class ADA(Adaptive):
    """Adaptive discriminator augmentation: geometric and color changes of all images that D sees, more of them the more
    it overfits. For small sets of grayscale or color images. Needs a loss that reports scores, as logits."""

    name = "ada"

    def __init__(
        self,
        *,
        groups: Groups = ("blit", "geometry", "color"),
        target: Target = 0.6,
        samples: Samples = 500_000,
    ) -> None:
        super().__init__(target=target, samples=samples)
        self.groups = groups

    def meet(self, model: Model, fields: Mapping[str, Field]) -> None:
        check_images(model, fields)
        if "color" in self.groups and (channels := fields[model.target].shape[0]) not in (1, 3):
            raise ValueError(f"it changes grayscale and color images, not images of {channels} channels")

    def transform(self, sample: Tensor) -> Tensor:
        if {"blit", "geometry"} & set(self.groups):
            sample = warp(sample, self._source(sample))
        return self._color(sample) if "color" in self.groups else sample

    def _source(self, images: Tensor) -> Tensor:
        """Return matrices (n, 3, 3) that map the place of a pixel, relative to the center, to where its value comes
        from. Each random change is as likely as its inverse, so no matrix has to be inverted."""
        n, height, width = len(images), *images.shape[2:]
        side = torch.tensor([[width], [height]], device=images.device)
        source = torch.eye(3, device=images.device).expand(n, 3, 3)
        if "blit" in self.groups:
            flip = 1.0 - 2.0 * self._some(torch.randint(2, (n,), device=images.device))
            turn = torch.randint(4, (n,), device=images.device)
            turn = turn if width == height else turn // 2 * 2
            shift = ((torch.rand(2, n, device=images.device) - 0.5) / 4 * side).round()
            source = source @ _scaling(flip, torch.ones_like(flip)) @ _rotation(self._some(turn) * math.pi / 2)
            source = source @ _translation(self._some(shift))
        if "geometry" in self.groups:
            scale, stretch = (2 ** self._some(0.2 * torch.randn(n, device=images.device)) for _ in range(2))
            angles = (torch.rand(2, n, device=images.device) * 2 - 1) * math.pi
            once = 1 - (1 - self.probability).sqrt()
            source = source @ _scaling(scale, scale) @ _rotation(self._some(angles[0], once))
            source = source @ _scaling(stretch, 1 / stretch) @ _rotation(self._some(angles[1], once))
            source = source @ _translation(self._some(0.125 * torch.randn(2, n, device=images.device) * side))
        return source

    def _color(self, images: Tensor) -> Tensor:
        n, channels = images.shape[:2]
        noise = torch.randn(3, n, device=images.device)
        one, luma = torch.eye(3, device=images.device), torch.full((3, 3), 1 / 3, device=images.device)
        cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=images.device) / 3**0.5
        flip = _column(self._some(torch.randint(2, (n,), device=images.device)))
        hue = _column(self._some((torch.rand(n, device=images.device) * 2 - 1) * math.pi))
        turn = hue.cos() * one + hue.sin() * cross + (1 - hue.cos()) * luma  # Rodrigues' formula, about the gray axis
        saturate = luma + (one - luma) * _column(2 ** self._some(noise[2]))
        matrix = saturate @ turn @ (one - 2 * flip * luma) * _column(2 ** self._some(0.5 * noise[1]))  # (n, 3, 3)
        shifted = images + self._some(0.2 * noise[0])[:, None, None, None]
        changed = (matrix @ shifted.expand(-1, 3, -1, -1).flatten(2)).unflatten(2, images.shape[2:])
        gray: Tensor = changed.mean(1, keepdim=True)
        return changed if channels == 3 else gray

    def _some(self, change: Tensor, probability: Tensor | None = None) -> Tensor:
        """Return changes (..., n), 0 for the images that are not changed."""
        return change * self.chosen(change.shape[-1], probability)


def warp(images: Tensor, source: Tensor) -> Tensor:
    """Return images (n, C, H, W) whose pixels come from other places, by bilinear interpolation; beyond the border, the
    image is mirrored. It can be differentiated twice, unlike ``torch.nn.functional.grid_sample``.

    Args:
        images: (n, C, H, W).
        source: (n, 3, 3): maps (x, y, 1), relative to the center, to where the value comes from.
    """
    height, width = images.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) - (height - 1) / 2,
        torch.arange(width, device=images.device) - (width - 1) / 2,
        indexing="ij",
    )
    places = source[:, :2] @ torch.stack([x, y, torch.ones_like(x)]).flatten(1)  # (n, 2, H * W)
    columns = _neighbors(places[:, 0] + (width - 1) / 2, width)
    rows = _neighbors(places[:, 1] + (height - 1) / 2, height)
    flat, total = images.flatten(2), torch.zeros((), device=images.device)
    for row, row_weight in rows:
        for column, column_weight in columns:
            index = (row * width + column)[:, None].expand_as(flat)
            total = total + flat.gather(2, index) * (row_weight * column_weight)[:, None]
    return total.view_as(images)


def _neighbors(place: Tensor, side: int) -> list[tuple[Tensor, Tensor]]:
    """Return the two pixels next to each place, int64, and their weights. Places beyond the border are mirrored."""
    period = max(1, 2 * (side - 1))
    place = place.remainder(period)
    place = torch.minimum(place, period - place).clamp(0, side - 1)
    low = place.floor()
    weight = place - low
    return [(low.long(), 1 - weight), ((low.long() + 1).clamp(max=side - 1), weight)]


def _column(value: Tensor) -> Tensor:
    return value[:, None, None]


def _matrix(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix((x, zero, zero), (zero, y, zero), (zero, zero, one))


def _rotation(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    return _matrix((angle.cos(), -angle.sin(), zero), (angle.sin(), angle.cos(), zero), (zero, zero, one))


def _translation(shift: Tensor) -> Tensor:
    (x, y), zero, one = shift, torch.zeros_like(shift[0]), torch.ones_like(shift[0])
    return _matrix((one, zero, x), (zero, one, y), (zero, zero, one))
