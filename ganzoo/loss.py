"""The loss interface: which player moves when, and what each move minimizes; and penalties, which can join any loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ganzoo.data import Batch
from ganzoo.model import Model
from ganzoo.options import Option

NCritic = Annotated[
    int, Option("Discriminator steps per generator step: the generator moves every N steps", ge=1, le=10**9)
]
"""The type of the option ``n_critic``."""
Weight = Annotated[float, Option("Factor of this term in the sum that is minimized", ge=0)]
"""The type of the option ``weight`` of a penalty."""
Every = Annotated[int, Option("Apply every N steps, scaled by N (lazy regularization)", ge=1, le=10**9)]
"""The type of the option ``every`` of a penalty."""


class Terms(NamedTuple):
    """What a move minimizes, and what it only logs.

    Attributes:
        losses: name -> scalar. The move minimizes their sum. Each is logged as ``loss/<name>``, averaged over a tick.
        metrics: name -> scalar, logged under its own name.
    """

    losses: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Turn:
    """One move of one player.

    Attributes:
        player: who moves. One step of its optimizer minimizes the objective over its parameters and no others.
        objective: ``objective(model, real, shared)`` returns the terms; if it returns no losses, nothing moves.
        every: the turn is played in the steps that this number divides, counted from 1.
        after: ``after(model)`` is called without gradients after the move, for example to clip weights.
    """

    player: str
    objective: Callable[[Model, Batch, Batch], Terms]
    every: int = 1
    after: Callable[[Model], None] | None = None


class Loss(nn.Module, ABC):
    """The rules of the game. The keyword-only arguments of its constructor are its options (see ``ganzoo.Option``).
    State that a run must remember (an image pool, a running mean) is a buffer: it is then saved and restored.

    Attributes:
        required_fields: batch fields it reads besides the target.
        required_methods: methods or attributes it needs from the model, such as ``("discriminate",)``; checked before
            training.
    """

    required_fields: ClassVar[tuple[str, ...]] = ()
    required_methods: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def turns(self) -> Sequence[Turn]:
        """Return the turns of a step, in order. Called before training, perhaps more than once."""

    @abstractmethod
    def prepare_step(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        """Compute what the turns of a step share, such as the generated samples. Called once per step.

        Args:
            model: the networks.
            real: the real batch.
            movers: the players that move in this step. If none of them owns what is computed here, compute it without
                a graph.
            rng: the source of all noise; on the training device.
        """


class Penalty(nn.Module, ABC):
    """A term that joins the moves of one player, with any loss. The keyword-only arguments of its constructor are its
    options (see ``ganzoo.Option``). State that a run must remember is a buffer, as in a loss.

    With ``every`` above 1 it is lazy: every N moves of its player it gets an optimizer step of its own, right after
    that move, and its weight is multiplied by N. It then costs less and has the same effect on average. Source: Karras
    et al., 2020, https://arxiv.org/abs/1912.04958, section 3.1 (lazy regularization).

    Attributes:
        player: the player whose moves it joins.
        required_fields: batch fields it reads besides the target.
        required_methods: methods or attributes it needs from the model; checked before training.
    """

    player: ClassVar[str] = "discriminator"
    required_fields: ClassVar[tuple[str, ...]] = ()
    required_methods: ClassVar[tuple[str, ...]] = ("discriminate",)

    def __init__(self, *, weight: Weight = 1.0, every: Every = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    @abstractmethod
    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor | None:
        """Return the scalar to minimize, without its weight, or None for no term.

        Args:
            model: the networks.
            real: the real batch.
            shared: what ``prepare_step`` of the loss returned; ``shared["fake"]`` are the generated samples if the loss
                is adversarial. Draw noise from torch's global generator, which is seeded, saved and restored with the
                run.
        """

    def after(self, model: Model) -> None:
        """Called without gradients after each move that the penalty joins."""


class AdversarialLoss(Loss):
    """The usual game: the discriminator moves on real samples and detached generated ones, then the generator moves on
    **the same generated samples** against the updated discriminator. A subclass implements two pure functions of scores
    (logits), and optionally losses for the further heads of ``discriminate``.

    Attributes:
        relativistic: whether ``generator`` needs the scores of real samples; they are computed only then.
    """

    required_methods: ClassVar[tuple[str, ...]] = ("sample_latent", "generate", "discriminate")
    relativistic: ClassVar[bool] = False

    def __init__(self, *, n_critic: NCritic = 1) -> None:
        super().__init__()
        self.n_critic = n_critic

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the scalar that the discriminator minimizes, from scores (n, 1) of real and generated samples."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return the scalar that the generator minimizes, from scores (n, 1). ``real`` is None unless the loss is
        ``relativistic``."""

    def log_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        """Return what to log about the detached scores: by default the probabilities D(x) and D(G(z)), which assume
        that scores are logits. A critic's loss returns something else."""
        return {"D(x)": real.sigmoid().mean(), "D(G(z))": fake.sigmoid().mean()}

    def real_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        """Return name -> scalar: further losses of the discriminator, from all heads for the real batch
        ``condition``."""
        return {}

    def fake_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        """Return name -> scalar: further losses of **both** players, from all heads for generated samples;
        ``condition`` holds their latents. They are logged with the player's name in front:
        ``loss/generator-class``."""
        return {}

    def turns(self) -> Sequence[Turn]:
        return [
            Turn("discriminator", self._discriminator_turn),
            Turn("generator", self._generator_turn, every=self.n_critic),
        ]

    def prepare_step(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        latent = model.generator_inputs(real, rng)
        with torch.set_grad_enabled("generator" in movers):
            fake = model.generate(latent)  # (n, *shape)
        return {**latent, "fake": fake}

    def _discriminator_turn(self, model: Model, real: Batch, shared: Batch) -> Terms:
        on_real, on_fake = _discriminate_both(model, real, shared)  # {"score": (n, 1), and other heads} each
        losses = {"discriminator": self.discriminator(on_real["score"], on_fake["score"])}
        losses |= {f"discriminator-{name}": loss for name, loss in self.real_head_losses(on_real, real).items()}
        for name, loss in self.fake_head_losses(on_fake, shared).items():  # the same name on both sides: one sum
            key = f"discriminator-{name}"
            losses[key] = losses[key] + loss if key in losses else loss
        return Terms(losses, self.log_scores(on_real["score"].detach(), on_fake["score"].detach()))

    def _generator_turn(self, model: Model, real: Batch, shared: Batch) -> Terms:
        score_real = model.discriminate(real[model.target], real)["score"] if self.relativistic else None
        on_fake = model.discriminate(shared["fake"], shared)
        heads = {f"generator-{name}": loss for name, loss in self.fake_head_losses(on_fake, shared).items()}
        return Terms({"generator": self.generator(on_fake["score"], score_real), **heads})


def _discriminate_both(model: Model, real: Batch, shared: Batch) -> tuple[Batch, Batch]:
    """Return the heads for real samples and for detached generated ones, in one pass if the model allows it."""
    sample, fake = real[model.target], shared["fake"].detach()
    if model.batch_dependent:
        return model.discriminate(sample, real), model.discriminate(fake, shared)
    condition = {name: torch.cat([real[name], shared[name]]) for name in real.keys() & shared.keys()}
    both, n = model.discriminate(torch.cat([sample, fake]), condition), len(sample)
    return {name: head[:n] for name, head in both.items()}, {name: head[n:] for name, head in both.items()}
