"""The model interface: the networks, which player owns which, and what they can be asked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganzoo.data import Batch, Field


class Model(nn.Module, ABC):
    """Networks that play against each other. The constructor takes the data's ``fields`` and builds networks that fit
    them; its keyword-only arguments are the model's options (``ganzoo.Option``).

    Attributes:
        players: player -> the attributes (networks or parameters) its optimiser moves. Players may share some.
        needs: batch fields that must be there besides the one it imitates, such as ``("label",)``.
        given: those fields that ``generate`` takes besides its latents, such as ``("edges",)`` where an image is made
            from another. They come from the data whenever it generates: in training, sampling and evaluation.
        metrics: what ``ganzoo evaluate`` measures of it besides the data's metrics, where it fits.
        across: whether ``judge`` looks across the samples of a batch, as batch normalisation does. Where it does not,
            set it to False: real samples and fakes are then judged in one pass, which is faster.
        averaged: the networks of which a moving average (``train.ema``) is kept, and sampled from.
        target: the field it imitates: the first of the data's.

    A ``ValueError`` raised in the constructor means "I do not fit these data": say which would fit.
    """

    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("discriminator",),
        "generator": ("generator",),
    }
    needs: ClassVar[tuple[str, ...]] = ()
    given: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ()
    across: ClassVar[bool] = True
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    target: str

    def __init__(self, fields: Mapping[str, Field]) -> None:
        super().__init__()
        self.target = next(iter(fields))

    @abstractmethod
    def latent(self, n: int, rng: torch.Generator) -> Batch:
        """Draw the generator's input for ``n`` samples on ``rng.device``, from ``rng`` and nothing else:
        ``{"z": (n, d)}``, and labels or codes where the model has them."""

    @abstractmethod
    def generate(self, latent: Batch) -> Tensor:
        """Return samples (n, *shape) of the target field for a latent batch; images in [-1, 1]."""

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        """Return the discriminator's opinion of samples (n, *shape): ``{"score": (n, 1)}`` as logits (or (n, k), one
        for each of k patches), and further heads such as a class. ``given`` holds what comes with them: the real batch,
        or the fakes' latent batch."""
        raise AttributeError(f"{type(self).__name__} has no judge()")

    def inputs(self, real: Batch, rng: torch.Generator) -> Batch:
        """Return all that ``generate`` takes, as many as there are real samples: latents, and what is ``given``."""
        return {**{name: real[name] for name in self.given}, **self.latent(len(real[self.target]), rng)}

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return what is worth looking at while it trains, from a real batch and latents that stay the same all
        through a run. Called without gradients, in eval mode."""
        return {"real": fixed[self.target], "fake": self.generate(fixed)}
