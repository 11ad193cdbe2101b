"""The model interface: the networks, the player that owns each, and the methods that losses call."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganzoo.data import Batch, Field
from ganzoo.options import Option

LatentDim = Annotated[int, Option("Dimension of the latent z", ge=1, le=65536)]
"""The type of the option ``latent_dim``."""


class Model(nn.Module, ABC):
    """Networks that play against each other. The constructor takes the dataset's ``fields`` and builds networks that
    fit them; its keyword-only arguments are the model's options (see ``ganzoo.Option``).

    Attributes:
        players: player -> the attributes (networks or parameters) that its optimizer updates. Players may share some.
        required_fields: batch fields it reads besides the target, such as ``("label",)``.
        condition_fields: batch fields that ``generate`` takes besides the latents, such as ``("source",)`` of an
            image-to-image model. They come from the dataset in training, sampling and evaluation.
        metrics: what ``ganzoo evaluate`` measures in addition to the dataset's metrics; those that do not fit the
            dataset are skipped.
        batch_dependent: whether ``discriminate`` mixes the samples of a batch, as batch normalization does. Set it to
            False if it does not: real and generated samples then share one pass, which is faster.
        augmentable: whether augmentations of what ``discriminate`` sees suit it. Set it to False if the discriminator
            sees more than the samples, or if there are other discriminators.
        ema_networks: the networks to average (``train.ema``); samples come from the averages.
        latent_distributions: how ``sample_latent`` draws each floating-point latent; used only to describe an exported
            file.
        phases: steps at which its behavior changes. The dry run and ``ganzoo check`` also play a step of each phase.
        target: the field it imitates: the first of the dataset.

    Raise ``ValueError`` in the constructor if the dataset does not fit, and say what would.
    """

    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("discriminator",),
        "generator": ("generator",),
    }
    required_fields: ClassVar[tuple[str, ...]] = ()
    condition_fields: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ()
    batch_dependent: bool = True
    augmentable: ClassVar[bool] = True
    ema_networks: ClassVar[tuple[str, ...]] = ("generator",)
    latent_distributions: ClassVar[Mapping[str, Literal["normal", "uniform"]]] = {"z": "normal"}
    phases: tuple[int, ...] = ()
    target: str

    def __init__(self, fields: Mapping[str, Field]) -> None:
        super().__init__()
        self.target = next(iter(fields))

    @property
    def device(self) -> torch.device:
        """The device of its parameters."""
        return next(self.parameters()).device

    def parameters_of(self, player: str) -> Iterator[nn.Parameter]:
        """Yield the parameters that a player updates: those of its networks that are not frozen, each once."""
        parts = (attrgetter(name)(self) for name in self.players[player])
        found = (p for part in parts for p in ([part] if isinstance(part, nn.Parameter) else part.parameters()))
        yield from dict.fromkeys(p for p in found if p.requires_grad)

    def at(self, step: int) -> None:
        """Called before each step with its number, and with the step of a checkpoint before it is loaded. A network
        that grows changes here which of its layers it uses; all its parameters exist from the start."""

    @abstractmethod
    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        """Draw the generator's input for ``n`` samples on ``rng.device``, from ``rng`` and no other source:
        ``{"z": (n, d)}``, and labels or codes where the model has them."""

    @abstractmethod
    def generate(self, latent: Batch) -> Tensor:
        """Return samples (n, *shape) of the target field for a latent batch; images are in [-1, 1]."""

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        """Return what the discriminator says about samples (n, *shape).

        Args:
            sample: real or generated samples.
            condition: the batch the samples belong to: the real batch, or the inputs of ``generate``.

        Returns:
            ``{"score": ...}``: (n, 1), or (n, k) for a discriminator that scores k patches per sample; plus any
            additional heads, such as ``class``. Some losses read scores as logits.
        """
        raise AttributeError(f"{type(self).__name__} has no discriminate()")

    def generator_inputs(self, real: Batch, rng: torch.Generator) -> Batch:
        """Return what ``generate`` takes for as many samples as in ``real``: latents, and the condition fields."""
        conditions = {name: real[name] for name in self.condition_fields}
        return {**conditions, **self.sample_latent(len(real[self.target]), rng)}

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return what to show during training. Called in eval mode, without gradients.

        Args:
            fixed: a real batch and latents that stay the same throughout a run.
        """
        return {"real": fixed[self.target], "fake": self.generate(fixed)}


class LatentModel(Model):
    """A model with one normal latent vector ``z``, one generator and one discriminator. A subclass builds the two
    networks: ``generator`` maps z (n, latent_dim) to samples (n, *shape), ``discriminator`` maps samples to scores
    (n, 1)."""

    generator: nn.Module
    discriminator: nn.Module

    def __init__(self, fields: Mapping[str, Field], latent_dim: int) -> None:
        super().__init__(fields)
        self.latent_dim = latent_dim

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        return {"z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        sample: Tensor = self.generator(latent["z"])
        return sample

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        return {"score": self.discriminator(sample)}
