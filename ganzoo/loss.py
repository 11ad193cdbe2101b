"""The loss interface: the rules of the game, that is who moves, when, and what each move minimises."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ganzoo.data import Batch
from ganzoo.model import Model
from ganzoo.options import Option


class Terms(NamedTuple):
    """What a move minimises, and what is only worth watching.

    Attributes:
        loss: name -> scalar; the move minimises their sum. Logged as ``loss/<name>``, averaged over a tick.
        watch: name -> scalar that is logged under its own name and never minimised.
    """

    loss: Mapping[str, Tensor]
    watch: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Turn:
    """One player's move: ``objective(model, real, now)`` is minimised over the player's parameters, and over no
    others, by one step of its optimiser. It moves in the steps that ``every`` divides, counted from 1."""

    player: str
    objective: Callable[[Model, Batch, Batch], Terms]
    every: int = 1


class Loss(nn.Module, ABC):
    """The rules of the game. Its constructor's keyword-only arguments are its options (``ganzoo.Option``). State that
    a run must remember (an image pool, a running mean) is a buffer: it is then saved and restored.

    Attributes:
        needs: batch fields it reads besides the one the model imitates.
        uses: methods or attributes it asks of the model, such as ``("judge",)``; checked before training.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def turns(self) -> Sequence[Turn]:
        """Return the moves of a step, in order. Asked once, before training."""

    @abstractmethod
    def begin(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        """Compute once a step what its turns share, such as the fakes.

        Args:
            model: the networks.
            real: the dealt batch.
            movers: the players that move in this step; where none of them owns what is computed here, compute it
                without a graph.
            rng: where all noise comes from; on the training device.
        """


class AdversarialLoss(Loss):
    """The classic game: the discriminator moves on real samples and detached fakes, then the generator moves on **the
    same fakes** against the updated discriminator. A subclass gives two short pure functions of scores (logits)."""

    uses = ("latent", "generate", "judge")
    relativistic: ClassVar[bool] = False
    """Whether ``generator`` looks at the real scores too; they are computed for it only then."""

    def __init__(
        self, *, generator_every: Annotated[int, Option("The generator moves once in this many steps", ge=1)] = 1
    ) -> None:
        super().__init__()
        self.generator_every = generator_every

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the scalar the discriminator minimises, from scores (n, 1) of real samples and of fakes."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return the scalar the generator minimises, from scores (n, 1); ``real`` is None unless ``relativistic``."""

    def watch(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        """Return what to log of the detached scores: by default the probabilities D(x) and D(G(z)), which mean
        something where scores are logits; a critic's loss returns its own."""
        return {"D(x)": real.sigmoid().mean(), "D(G(z))": fake.sigmoid().mean()}

    def turns(self) -> Sequence[Turn]:
        return [
            Turn("discriminator", self._discriminator_turn),
            Turn("generator", self._generator_turn, every=self.generator_every),
        ]

    def begin(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        latent = model.latent(len(real[model.target]), rng)
        with torch.set_grad_enabled("generator" in movers):
            fake = model.generate(latent)  # (n, *shape)
        return {**latent, "fake": fake}

    def _discriminator_turn(self, model: Model, real: Batch, now: Batch) -> Terms:
        score_real, score_fake = _judge_both(model, real, now)  # (n, 1) each
        loss = self.discriminator(score_real, score_fake)
        return Terms({"discriminator": loss}, self.watch(score_real.detach(), score_fake.detach()))

    def _generator_turn(self, model: Model, real: Batch, now: Batch) -> Terms:
        score_real = model.judge(real[model.target], real)["score"] if self.relativistic else None
        score_fake = model.judge(now["fake"], now)["score"]
        return Terms({"generator": self.generator(score_fake, score_real)})


def _judge_both(model: Model, real: Batch, now: Batch) -> tuple[Tensor, Tensor]:
    """Return the scores of the real samples and of the detached fakes."""
    sample, fake = real[model.target], now["fake"].detach()
    if model.across:
        return model.judge(sample, real)["score"], model.judge(fake, now)["score"]
    given = {name: torch.cat([real[name], now[name]]) for name in real.keys() & now.keys()}
    score_real, score_fake = model.judge(torch.cat([sample, fake]), given)["score"].split(len(sample))
    return score_real, score_fake
