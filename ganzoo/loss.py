"""The loss interface: the rules of the game, that is who moves, when, and what each move minimises; and penalties, the
terms that any game can take besides."""

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
    others, by one step of its optimiser; where it names no loss, nothing moves. It moves in the steps that ``every``
    divides, counted from 1. ``after(model)`` is called without gradients once it has moved, to clip weights, say."""

    player: str
    objective: Callable[[Model, Batch, Batch], Terms]
    every: int = 1
    after: Callable[[Model], None] | None = None


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


GeneratorEvery = Annotated[int, Option("The generator moves once in this many steps", ge=1, le=10**9)]
Weight = Annotated[float, Option("How much it counts", ge=0)]
Every = Annotated[int, Option("Counted once in this many steps, and then so many times as much", ge=1, le=10**9)]


class Penalty(nn.Module, ABC):
    """A term that joins the moves of one player, whatever the loss. Its constructor's keyword-only arguments are its
    options (``ganzoo.Option``); state that a run must remember is a buffer, as in a loss.

    With ``every`` above 1 it is lazy: a move of its own, with one optimiser step, right after one in ``every`` of the
    player's, and so many times as strong: what it costs falls, what it does on average stays. Source: Karras et al.,
    2020, https://arxiv.org/abs/1912.04958, section 3.1 (lazy regularization).

    Attributes:
        player: whose moves it joins.
        needs: batch fields it reads besides the one the model imitates.
        uses: methods or attributes it asks of the model; checked before training.
    """

    player: ClassVar[str] = "discriminator"
    needs: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ("judge",)

    def __init__(self, *, weight: Weight = 1.0, every: Every = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    @abstractmethod
    def term(self, model: Model, real: Batch, now: Batch) -> Tensor | None:
        """Return the scalar that is minimised besides, without its weight; None for nothing. ``now`` is what the loss's
        ``begin`` returned: ``now["fake"]`` are the fakes where the loss is adversarial. Noise comes from torch's global
        generator, which is seeded, saved and restored with the run."""

    def after(self, model: Model) -> None:
        """Called without gradients once the player has moved."""


class AdversarialLoss(Loss):
    """The classic game: the discriminator moves on real samples and detached fakes, then the generator moves on **the
    same fakes** against the updated discriminator. A subclass gives two short pure functions of scores (logits); and,
    where the model's ``judge`` has further heads, what is asked of those."""

    uses = ("latent", "generate", "judge")
    relativistic: ClassVar[bool] = False
    """Whether ``generator`` looks at the real scores too; they are computed for it only then."""

    def __init__(self, *, generator_every: GeneratorEvery = 1) -> None:
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

    def real_terms(self, judged: Batch, given: Batch) -> Mapping[str, Tensor]:
        """Return name -> scalar: what the discriminator minimises besides, of all that ``judge`` said of real samples;
        ``given`` is the real batch."""
        return {}

    def fake_terms(self, judged: Batch, given: Batch) -> Mapping[str, Tensor]:
        """Return name -> scalar: what **both** players minimise besides, of all that ``judge`` said of fakes; ``given``
        holds their latents. The player is put before the names in the log: ``loss/generator-class``."""
        return {}

    def turns(self) -> Sequence[Turn]:
        return [
            Turn("discriminator", self._discriminator_turn),
            Turn("generator", self._generator_turn, every=self.generator_every),
        ]

    def begin(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        latent = model.inputs(real, rng)
        with torch.set_grad_enabled("generator" in movers):
            fake = model.generate(latent)  # (n, *shape)
        return {**latent, "fake": fake}

    def _discriminator_turn(self, model: Model, real: Batch, now: Batch) -> Terms:
        on_real, on_fake = _judge_both(model, real, now)  # {"score": (n, 1), and other heads} each
        score_real, score_fake = on_real["score"], on_fake["score"]
        further = {
            f"discriminator-{name}": term
            for name, term in (*self.real_terms(on_real, real).items(), *self.fake_terms(on_fake, now).items())
        }
        loss = {"discriminator": self.discriminator(score_real, score_fake), **further}
        return Terms(loss, self.watch(score_real.detach(), score_fake.detach()))

    def _generator_turn(self, model: Model, real: Batch, now: Batch) -> Terms:
        score_real = model.judge(real[model.target], real)["score"] if self.relativistic else None
        on_fake = model.judge(now["fake"], now)
        further = {f"generator-{name}": term for name, term in self.fake_terms(on_fake, now).items()}
        return Terms({"generator": self.generator(on_fake["score"], score_real), **further})


def _judge_both(model: Model, real: Batch, now: Batch) -> tuple[Batch, Batch]:
    """Return what the discriminator says of the real samples and of the detached fakes."""
    sample, fake = real[model.target], now["fake"].detach()
    if model.across:
        return model.judge(sample, real), model.judge(fake, now)
    given = {name: torch.cat([real[name], now[name]]) for name in real.keys() & now.keys()}
    both, n = model.judge(torch.cat([sample, fake]), given), len(sample)
    return {name: head[:n] for name, head in both.items()}, {name: head[n:] for name, head in both.items()}
