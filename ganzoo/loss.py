"""The loss interface: the turns of a step, and what each of them minimizes; and penalties, which work with any loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ganzoo.data import Batch, Field
from ganzoo.model import Model
from ganzoo.options import Option

NCritic = Annotated[
    int, Option("Discriminator moves per generator move: the generator moves in every Nth step", ge=1, le=10**9)
]
"""The type of the option ``n_critic``."""
Weight = Annotated[float, Option("Factor of this term in the sum that is minimized", ge=0)]
"""The type of the option ``weight`` of a penalty."""
Every = Annotated[
    int, Option("Add the term in every Nth step in which the player moves, with N times the weight", ge=1, le=10**9)
]
"""The type of the option ``every`` of a penalty."""


class Terms(NamedTuple):
    """What a turn minimizes, and what it only logs.

    Attributes:
        losses: name -> scalar. The move minimizes their sum. Each is logged as ``loss/<name>``, averaged over the
            steps since the scalars were last logged.
        metrics: name -> scalar, only logged, under its own name; averaged in the same way.
        scores: detached scores of real and of generated samples, (n, k) each (k is 1 unless D scores patches), for
            parts that observe them; or None.
    """

    losses: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor] = {}
    scores: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Turn:
    """An entry in the schedule of a step. The optimizer step that is taken in a turn is called a move.

    Attributes:
        player: who moves. The move minimizes the objective over the parameters of this player and no others.
        objective: ``objective(model, real, shared)`` returns the terms. If it returns no losses, the player rests: it
            does not move, no penalty is added, and ``after`` is not called.
        every: the turn is played in every Nth step (steps count from 1).
        after: ``after(model)`` is called without gradients after the move, for example to clip weights.
        when: ``when(step)`` says whether the turn is played in a step, for phases such as pretraining; None means
            always. In step 0 (a dry run), ``when`` gets 1, and turns with ``every`` above 1 are played too.
        rate: ``rate(step)`` multiplies the player's learning rate for this turn; None means 1.
    """

    player: str
    objective: Callable[[Model, Batch, Batch], Terms]
    every: int = 1
    after: Callable[[Model], None] | None = None
    when: Callable[[int], bool] | None = None
    rate: Callable[[int], float] | None = None

    def due(self, step: int) -> bool:
        """Return whether the turn is played in a step."""
        return step % self.every == 0 and (self.when is None or self.when(max(1, step)))


class TrainingPart(nn.Module):
    """What losses, penalties and augmentations have in common.

    The keyword-only arguments of the constructor are options (see ``ganzoo.Option``). If state, such as an image pool,
    must survive a resume, register it as a buffer: checkpoints save buffers.

    Attributes:
        required_fields: batch fields it reads besides the target.
        required_methods: methods or attributes it needs from the model, such as ``("discriminate",)``; checked before
            training.
        frozen_networks: submodules that never change, such as a pretrained feature extractor; checkpoints leave them
            out.
        phases: steps at which its behavior changes. The dry run and ``ganzoo check`` also play a step of each phase.
    """

    required_fields: ClassVar[tuple[str, ...]] = ()
    required_methods: ClassVar[tuple[str, ...]] = ()
    frozen_networks: ClassVar[tuple[str, ...]] = ()
    phases: tuple[int, ...] = ()

    def meet(self, model: Model, fields: Mapping[str, Field]) -> None:
        """Called once, after all parts are built and before weights are restored or copied (``--init``). Register
        buffers here whose shapes depend on the data or on the model. Raise ``ValueError`` if the part does not fit
        them, and say what would."""

    def at(self, step: int) -> None:
        """Called before each step, with its number, and before a checkpoint is loaded, with that checkpoint's step."""

    def observe_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor] | None:
        """Called under ``torch.no_grad()`` after the move of each turn that reports scores; in an adversarial loss,
        these are the turns of the discriminator. Use it to update buffers, such as running means.

        Args:
            real: detached scores (n, k) of real samples; k is 1 unless the discriminator scores patches.
            fake: detached scores (n, k) of generated samples.

        Returns:
            name -> scalar to log, or None.
        """
        return None


class Loss(TrainingPart, ABC):
    """The rules of the game: the turns of a step, and what they share."""

    @abstractmethod
    def turns(self) -> Sequence[Turn]:
        """Return the turns of a step, in order. Called before training, perhaps more than once."""

    @abstractmethod
    def prepare_step(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        """Compute what the turns of a step share, such as the generated samples. Called once per step.

        Args:
            model: the networks.
            real: the real batch.
            movers: the players that move in this step. If the owner of a network is not among them,
                run it without building a graph.
            rng: the source of all noise; on the training device.
        """


class Penalty(TrainingPart, ABC):
    """A term added to what one player minimizes in its first move of each step. It works with any loss.

    With ``every`` above 1 it is lazy: in every Nth step in which its player moves, it gets a move of its own, right
    after the player's first, and its weight is multiplied by N. It then costs less. The expected gradient is the same;
    with Adam, the effect is only approximately the same. Source: Karras et al., 2020,
    https://arxiv.org/abs/1912.04958, section 3.1 (lazy regularization).

    Attributes:
        player: the player that minimizes it. A recipe may choose another: ``{ name = "clip", player = "generator" }``.
    """

    player: str = "discriminator"
    required_methods: ClassVar[tuple[str, ...]] = ("discriminate",)

    def __init__(self, *, weight: Weight = 1.0, every: Every = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    @abstractmethod
    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor | None:
        """Return the scalar to minimize, without its weight, or None for no term.

        Draw noise from torch's global generator, which is seeded, saved and restored with the run.

        Args:
            model: the networks.
            real: the real batch.
            shared: what ``prepare_step`` of the loss returned; ``shared["fake"]`` holds the generated samples if the
                loss is adversarial.
        """

    def after(self, model: Model) -> None:
        """Called under ``torch.no_grad()`` after each move to which the penalty is added; if it is lazy, after its
        own move. It is called even if ``term`` returned None."""


class AdversarialLoss(Loss):
    """The usual game: the discriminator moves, given real samples and detached generated ones; then the generator
    moves, given **the same generated samples** and the updated discriminator. A subclass implements two pure functions
    of scores, and optionally losses for the additional heads of ``discriminate``.

    Attributes:
        relativistic: whether ``generator`` needs the scores of real samples; if not, its turn does not compute them.
    """

    required_methods: ClassVar[tuple[str, ...]] = ("sample_latent", "generate", "discriminate")
    relativistic: ClassVar[bool] = False

    def __init__(self, *, n_critic: NCritic = 1) -> None:
        super().__init__()
        self.n_critic = n_critic

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor | None:
        """Return the scalar that the discriminator minimizes, from scores (n, k) of real and generated samples; None if
        it minimizes only the other losses below."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor | None:
        """Return the scalar that the generator minimizes, from scores (n, k); None if it minimizes only the other
        losses below. ``real`` is None unless the loss is ``relativistic``."""

    def log_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        """Return what to log about the detached scores: by default the probabilities D(x) and D(G(z)), which assume
        that scores are logits. A critic's loss returns something else."""
        return {"D(x)": real.sigmoid().mean(), "D(G(z))": fake.sigmoid().mean()}

    def real_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        """Return additional losses for the discriminator: name -> scalar. They are logged with the player's name in
        front: ``loss/discriminator-class``.

        Args:
            heads: what ``discriminate`` returned for the real samples.
            condition: the real batch, which these samples come from.
        """
        return {}

    def fake_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        """Return additional losses for **both** players: name -> scalar. They are logged with the player's name in
        front.

        Args:
            heads: what ``discriminate`` returned for the generated samples.
            condition: what the samples were generated from: the inputs of ``generate``.
        """
        return {}

    def generator_head_losses(self, heads: Batch, condition: Batch, real_heads: Batch | None) -> Mapping[str, Tensor]:
        """Return additional losses for the generator alone: name -> scalar.

        Args:
            heads: what ``discriminate`` returned for the generated samples.
            condition: what the samples were generated from: the inputs of ``generate``.
            real_heads: what ``discriminate`` returned for the real samples; None unless the loss is ``relativistic``.
        """
        return {}

    def generator_losses(self, model: Model, real: Batch, shared: Batch) -> Mapping[str, Tensor]:
        """Return additional losses for the generator alone, such as a distance to the real samples: name -> scalar.
        They are logged with the player's name in front.

        Args:
            model: the networks.
            real: the real batch.
            shared: ``shared["fake"]`` holds the generated samples; the rest is what they were generated from.
        """
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
        on_real, on_fake = _discriminate_both(model, real, shared)  # both: head -> (n, ...)
        losses = _named("discriminator", self.discriminator(on_real["score"], on_fake["score"]))
        _add(losses, "discriminator", self.real_head_losses(on_real, real), self.fake_head_losses(on_fake, shared))
        scores = on_real["score"].detach(), on_fake["score"].detach()
        return Terms(losses, self.log_scores(*scores), scores)

    def _generator_turn(self, model: Model, real: Batch, shared: Batch) -> Terms:
        on_real = model.discriminate(real[model.target], real) if self.relativistic else None
        on_fake = model.discriminate(shared["fake"], shared)
        losses = _named("generator", self.generator(on_fake["score"], on_real["score"] if on_real else None))
        on_heads = self.fake_head_losses(on_fake, shared), self.generator_head_losses(on_fake, shared, on_real)
        _add(losses, "generator", *on_heads, self.generator_losses(model, real, shared))
        return Terms(losses)


def _add(losses: dict[str, Tensor], player: str, *others: Mapping[str, Tensor]) -> None:
    """Add the other losses of a player. Losses with the same name are summed."""
    for name, loss in chain.from_iterable(found.items() for found in others):
        key = f"{player}-{name}"
        losses[key] = losses[key] + loss if key in losses else loss


def _named(name: str, loss: Tensor | None) -> dict[str, Tensor]:
    return {} if loss is None else {name: loss}


def _discriminate_both(model: Model, real: Batch, shared: Batch) -> tuple[Batch, Batch]:
    """Return the heads for real samples and for detached generated ones, in one pass if the model allows it."""
    sample, fake = real[model.target], shared["fake"].detach()
    if model.batch_dependent:
        return model.discriminate(sample, real), model.discriminate(fake, shared)
    condition = {name: torch.cat([real[name], shared[name]]) for name in real.keys() & shared.keys()}
    both, n = model.discriminate(torch.cat([sample, fake]), condition), len(sample)
    return {name: head[:n] for name, head in both.items()}, {name: head[n:] for name, head in both.items()}
