"""Differentiable augmentation: the discriminator sees random transformations of all samples, real and generated.

Paper: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020,
    https://arxiv.org/abs/2006.10738
    L_D = E[f_D(-D(T(x)))] + E[f_D(D(T(G(z))))],  L_G = E[f_G(-D(T(G(z))))]     (section 3.2)
    T: color (brightness by U(-1/2, 1/2), saturation by U(0, 2), contrast by U(1/2, 3/2)), translation by up to an
    eighth of the side in each direction, and cutout of a square of half the side; empty pixels are 0, middle gray.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Augmentation, Field, Model, Option

Policy = Annotated[
    tuple[Literal["color", "translation", "cutout"], ...], Option("Transformations, in the order of their application")
]


class DiffAugment(Augmentation):
    """Differentiable augmentation: random color, translation and cutout of every image that the discriminator sees. For
    small sets of images."""

    def __init__(self, *, policy: Policy = ("color", "translation", "cutout")) -> None:
        super().__init__()
        self.policy = policy

    def meet(self, model: Model, fields: Mapping[str, Field]) -> None:
        check_images(model, fields)

    def transform(self, sample: Tensor) -> Tensor:
        for name in self.policy:
            sample = TRANSFORMS[name](sample)
        return sample


def check_images(model: Model, fields: Mapping[str, Field]) -> None:
    """Check that a discriminator sees images, and sees them alone.

    Raises:
        ValueError: it does not.
    """
    if len(shape := fields[model.target].shape) != 3:
        raise ValueError(f"it changes images (C, H, W), and {model.target!r} has the shape {shape}")
    if model.condition_fields:
        raise ValueError(f"it would move an image but not its condition {model.condition_fields[0]!r}")


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Return one random number per image, (n, 1, 1, 1)."""
    return torch.empty(len(images), 1, 1, 1, device=images.device, dtype=images.dtype).uniform_(low, high)


def _color(images: Tensor) -> Tensor:
    images = images + _uniform(images, -0.5, 0.5)
    gray = images.mean(1, keepdim=True)  # (n, 1, H, W)
    images = gray + (images - gray) * _uniform(images, 0, 2)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _uniform(images, 0.5, 1.5)


def _translation(images: Tensor) -> Tensor:
    rows, inside_rows = _moved(images, 2)
    columns, inside_columns = _moved(images, 3)
    n = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images[n, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # (n, C, H, W)
    return moved * (inside_rows[:, None, :, None] & inside_columns[:, None, None, :])


def _moved(images: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return, for each image, the source of each row (or column), (n, side), and whether it is inside the image."""
    side = images.shape[dim]
    most = int(side / 8 + 0.5)
    shift = torch.randint(-most, most + 1, (len(images), 1), device=images.device)
    source = torch.arange(side, device=images.device) + shift
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def _cutout(images: Tensor) -> Tensor:
    cut = _cut(images, 2)[:, None, :, None] & _cut(images, 3)[:, None, None, :]
    return images * ~cut


def _cut(images: Tensor, dim: int) -> Tensor:
    """Return, for each image, which rows (or columns) are cut out, (n, side). The center of the cut lies anywhere."""
    side = images.shape[dim]
    size = max(1, side // 2)
    start = torch.randint(0, side + 1 - size % 2, (len(images), 1), device=images.device) - size // 2
    place = torch.arange(side, device=images.device)
    return (place >= start) & (place < start + size)


TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
