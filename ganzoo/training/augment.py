"""Differentiable augmentation: the discriminator sees every sample, real or fake, changed by chance.

Paper: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020,
    https://arxiv.org/abs/2006.10738
    L_D = E[f_D(-D(T(x)))] + E[f_D(D(T(G(z))))],  L_G = E[f_G(-D(T(G(z))))]     (section 3.2)
    T: colour (brightness by U(-1/2, 1/2), saturation by U(0, 2), contrast by U(1/2, 3/2)), translation by up to an
    eighth of the side either way, and cutout of a square of half the side; what comes in is 0, the middle grey.
Called when an experiment is built with ``train.augment``; the model's ``judge`` is changed, and nothing else.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.model import Model


def augment(model: Model, kinds: Sequence[str], shape: tuple[int, ...]) -> None:
    """Let a model's ``judge`` look at augmented samples in training mode, and at samples as they are in eval mode.

    Its class is replaced by a subclass, so that copies of the model are augmented as it is itself. Chance comes from
    torch's global generator, as in dropout.

    Args:
        model: its ``judge`` takes images (n, C, H, W).
        kinds: some of KINDS, applied in this order.
        shape: of the field that the model imitates.

    Raises:
        UsageError: it does not judge images, or pairs of images, which would no longer fit each other.
    """
    own = type(model)
    if own.judge is Model.judge or len(shape) != 3:
        raise UsageError("train.augment is for models that judge images; this one does not.")
    if model.given:
        raise UsageError(
            f"train.augment would move an image, and not the {model.given[0]!r} it is judged with; leave it out."
        )

    def judge(self: Model, sample: Tensor, given: Batch) -> Batch:
        if self.training:
            for kind in kinds:
                sample = KINDS[kind](sample)
        return own.judge(self, sample, given)

    model.__class__ = type(own.__name__, (own,), {"judge": judge, "__module__": own.__module__})


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Return a number for each image, (n, 1, 1, 1)."""
    return torch.empty(len(images), 1, 1, 1, device=images.device, dtype=images.dtype).uniform_(low, high)


def _colour(images: Tensor) -> Tensor:
    images = images + _uniform(images, -0.5, 0.5)
    grey = images.mean(1, keepdim=True)  # (n, 1, H, W)
    images = grey + (images - grey) * _uniform(images, 0, 2)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _uniform(images, 0.5, 1.5)


def _translation(images: Tensor) -> Tensor:
    rows, inside_rows = _moved(images, 2)
    columns, inside_columns = _moved(images, 3)
    n = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images[n, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # (n, C, H, W)
    return moved * (inside_rows[:, None, :, None] & inside_columns[:, None, None, :])


def _moved(images: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return, for each image, which of its rows (or columns) goes where, (n, side), and whether there is such a one."""
    side = images.shape[dim]
    most = int(side / 8 + 0.5)
    shift = torch.randint(-most, most + 1, (len(images), 1), device=images.device)
    source = torch.arange(side, device=images.device) + shift
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def _cutout(images: Tensor) -> Tensor:
    cut = _cut(images, 2)[:, None, :, None] & _cut(images, 3)[:, None, None, :]
    return images * ~cut


def _cut(images: Tensor, dim: int) -> Tensor:
    """Return, for each image, which of its rows (or columns) are cut out, (n, side); the cut's middle lies anywhere."""
    side = images.shape[dim]
    size = max(1, side // 2)
    start = torch.randint(0, side + 1 - size % 2, (len(images), 1), device=images.device) - size // 2
    place = torch.arange(side, device=images.device)
    return (place >= start) & (place < start + size)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
