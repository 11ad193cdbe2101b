"""Differentiable augmentation: the discriminator sees random transformations of all samples, real and generated.

Paper: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020,
    https://arxiv.org/abs/2006.10738
    L_D = E[f_D(-D(T(x)))] + E[f_D(D(T(G(z))))],  L_G = E[f_G(-D(T(G(z))))]     (section 3.2)
    T: color (brightness by U(-1/2, 1/2), saturation by U(0, 2), contrast by U(1/2, 3/2)), translation by up to an
    eighth of the side in each direction, and cutout of a square of half the side; empty pixels are 0, middle gray.
Called when an experiment is built with ``train.augment``. Only the model's ``discriminate`` changes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.model import Model


def augment(
    model: Model, policy: Sequence[str], shape: tuple[int, ...], noise: float = 0.0, noise_steps: int = 0
) -> None:
    """Make a model's ``discriminate`` see changed samples in training mode, and unchanged ones in eval mode.

    Its class is replaced by a subclass, so that copies of the model are augmented too. Random numbers come from torch's
    global generator, as for dropout.

    Args:
        model: its ``discriminate`` takes images (n, C, H, W).
        policy: transformations of ``TRANSFORMS``, applied in this order.
        shape: of the target field.
        noise: standard deviation of the instance noise that is added to every sample (Sonderby et al., 2017,
            https://arxiv.org/abs/1610.04490).
        noise_steps: steps in which the noise falls linearly to 0; 0 keeps it.

    Raises:
        UsageError: the model does not discriminate images, or sees them with a condition that would no longer match.
    """
    own = type(model)
    if own.discriminate is Model.discriminate or (policy and len(shape) != 3):
        raise UsageError("train.augment and train.instance_noise are for models that discriminate images or samples.")
    if policy and model.condition_fields:
        raise UsageError(
            f"train.augment would move an image but not its condition {model.condition_fields[0]!r}. Leave it out."
        )

    def discriminate(self: Any, sample: Tensor, condition: Batch) -> Batch:
        if self.training:
            for name in policy:
                sample = TRANSFORMS[name](sample)
            if self.instance_noise:
                sample = sample + self.instance_noise * torch.randn_like(sample)
        heads: Batch = own.discriminate(self, sample, condition)
        return heads

    def at(self: Any, step: int) -> None:
        self.instance_noise = noise * max(0.0, 1 - step / noise_steps) if noise_steps else noise
        own.at(self, step)

    changes = {"discriminate": discriminate, "instance_noise": 0.0, "__module__": own.__module__}
    model.__class__ = type(own.__name__, (own,), changes | ({"at": at} if noise else {}))


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
