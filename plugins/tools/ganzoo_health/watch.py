"""The rules: what is wrong with the training, judged by the scalars of its ticks alone.

Each rule has a condition that holds at a tick or not. Its alarm is raised when the condition has held for long enough,
and again only after the condition has ended. The threshold for ending is wider than the one for beginning.
"""

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Mapping
from typing import ClassVar

from ganzoo import Alarm

Scalars = Mapping[str, float]
REAL, FAKE, LOSS, DIVERSITY = "D(x)", "D(G(z))", "loss/generator", "health/diversity"


class Watch:
    """All rules, applied to the ticks of one run. The alarms depend on these ticks only.

    Args:
        steps_per_epoch: of the run.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        self._rules: list[Rule] = [DiscriminatorWon(), DiscriminatorBlind(), Collapse(steps_per_epoch)]
        self._players: set[str] = set()

    def check(self, step: int, scalars: Scalars) -> list[Alarm]:
        """Check the next tick and return its alarms. ``scalars``: name -> mean."""
        for name in scalars:
            player = name.removeprefix("gradient/")
            if player not in (name, *self._players):
                self._players.add(player)
                self._rules.append(ExplodingGradient(player))
                if "generator" in player:
                    self._rules.append(VanishingGradient(player))
        return [alarm for rule in self._rules if (alarm := rule.check(step, scalars))]


class Rule(ABC):
    """One thing that can go wrong.

    Attributes:
        kind: the kind of its alarm.
        fatal: whether further training is pointless.
        min_steps, min_ticks: how long the condition must hold before the alarm is raised; both must be reached.
        limit, recovery: the threshold before and after the alarm.
        last_healthy_step: the last step at which the condition did not hold, 0 if there is none.
    """

    kind: ClassVar[str]
    fatal: ClassVar[bool] = False
    min_steps: ClassVar[int] = 0
    min_ticks: ClassVar[int] = 1
    limit: ClassVar[float]
    recovery: ClassVar[float]

    def __init__(self) -> None:
        self.last_healthy_step, self.ticks_held, self.raised = 0, 0, False

    @property
    def threshold(self) -> float:
        """The threshold that applies now."""
        return self.recovery if self.raised else self.limit

    def check(self, step: int, scalars: Scalars) -> Alarm | None:
        """Check the next tick. Return an alarm if the condition has now held for long enough."""
        holds = self.holds(step, scalars)
        if holds is None:
            return None
        if not holds:
            self.last_healthy_step, self.ticks_held, self.raised = step, 0, False
            return None
        self.ticks_held += 1
        if self.raised or self.ticks_held < self.min_ticks or step - self.last_healthy_step < self.min_steps:
            return None
        self.raised = True
        message, remedy = self.explain(step, scalars)
        return Alarm(self.kind, message, remedy, last_healthy_step=self.last_healthy_step, fatal=self.fatal)

    @abstractmethod
    def holds(self, step: int, scalars: Scalars) -> bool | None:
        """Return whether the condition holds; None if this tick does not tell."""

    @abstractmethod
    def explain(self, step: int, scalars: Scalars) -> tuple[str, str]:
        """Return the message (what was observed) and the remedy (the likely cause and what may help), of at most 300
        characters together."""


class DiscriminatorWon(Rule):
    """The discriminator has won: it is certain about every sample, and the generator is not catching up. Fatal,
    because a discriminator that is never wrong hardly tells the generator what would be better."""

    kind = "discriminator-won"
    fatal = True
    # In good runs, D(x) stayed below 0.88 and D(G(z)) above 0.20; other networks may briefly go further.
    min_steps, min_ticks = 500, 5
    limit, recovery = 0.01, 0.05  # distance of D(x) from 1 and of D(G(z)) from 0
    catching_up = 0.9  # the generator catches up if its loss, relative to the loss at the beginning, is below this
    loss: float | None = None  # the generator's loss at the beginning

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        if REAL not in scalars or FAKE not in scalars:
            return None  # the scores of a critic have no bounds
        if max(1 - scalars[REAL], scalars[FAKE]) > self.threshold:
            return False
        loss = scalars.get(LOSS)
        if self.ticks_held == 0:
            self.loss = loss
        falls = loss is not None and self.loss is not None and loss < self.catching_up * self.loss
        return self.raised or not falls

    def explain(self, step: int, scalars: Scalars) -> tuple[str, str]:
        return (
            f"The discriminator has won: D(x) is {scalars[REAL]:.3f} and D(G(z)) is {scalars[FAKE]:.3f}. This has "
            f"lasted for {step - self.last_healthy_step} steps, and the generator is not catching up.",
            "D's learning rate may be too high, or G's far too high or low. Try --set optimizer.discriminator.lr=..., "
            "--set optimizer.generator.lr=..., or another --loss.",
        )


class DiscriminatorBlind(Rule):
    """The discriminator is blind: it rates generated samples at least as high as real ones. In a good equilibrium, too,
    the two are close, but D(x) stays higher on average, and the samples are diverse."""

    kind = "discriminator-blind"
    min_steps, min_ticks = 1000, 10  # in good runs the condition held for two ticks of 100 steps
    limit, recovery = 0.0, 0.02  # D(x) - D(G(z))
    diverse = 0.5  # above this diversity, it may be a good equilibrium

    def __init__(self) -> None:
        super().__init__()
        self.diversity: float | None = None

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        self.diversity = scalars.get(DIVERSITY, self.diversity)
        if REAL not in scalars or FAKE not in scalars:
            return None
        if self.diversity is not None and self.diversity > self.diverse:
            return False
        return scalars[REAL] - scalars[FAKE] <= self.threshold

    def explain(self, step: int, scalars: Scalars) -> tuple[str, str]:
        return (
            f"The discriminator is blind: D(x), now {scalars[REAL]:.3f}, has not been above D(G(z)), now "
            f"{scalars[FAKE]:.3f}, for {step - self.last_healthy_step} steps.",
            "It learns too slowly or not at all, so the generator has nothing to learn from. Try a higher "
            "--set optimizer.discriminator.lr=... or a lower --set optimizer.generator.lr=...",
        )


class Collapse(Rule):
    """Mode collapse: the samples were diverse and no longer are, or have not become so after a long time. Fatal,
    because a generator seldom recovers what it has forgotten."""

    kind = "collapse"
    fatal = True
    limit, recovery = 0.2, 0.3  # diversity; of eight modes, one gives 0.14 and two give 0.26
    diverse = 0.4  # from this diversity on, there is something to lose
    # An untrained generator ignores its noise; fc-mnist's does so for 19,000 steps.
    warm_up_epochs, warm_up_steps = 2, 30_000

    def __init__(self, steps_per_epoch: int) -> None:
        super().__init__()
        self.warm_up = max(self.warm_up_epochs * steps_per_epoch, self.warm_up_steps)
        self.was_diverse = False

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        value = scalars.get(DIVERSITY)
        if value is None:
            return None
        self.was_diverse |= value >= self.diverse
        if value >= self.threshold:
            return False
        return True if self.was_diverse or step > self.warm_up else None

    def explain(self, step: int, scalars: Scalars) -> tuple[str, str]:
        before = f"was higher until step {self.last_healthy_step}" if self.last_healthy_step else "was never higher"
        return (
            f"Mode collapse: the diversity of the samples is {scalars[DIVERSITY]:.2f} of the data's. It {before}.",
            "The generator repeats a few samples that pass as real. Try a lower --set optimizer.generator.lr=..., "
            "--set optimizer.betas=[0.5,0.999], a larger --batch-size, or another --loss.",
        )


class GradientNorm(Rule):
    """The gradient norm of one player, compared with those of earlier ticks at which the condition did not hold."""

    min_history: ClassVar[int]  # number of earlier ticks needed for a comparison

    def __init__(self, player: str) -> None:
        super().__init__()
        self.player = player
        self.norms: list[float] = []  # sorted

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        norm = scalars.get(f"gradient/{self.player}")
        if norm is None:
            return None
        holds = len(self.norms) >= self.min_history and self.abnormal(norm)
        if not holds:
            insort(self.norms, norm)
        return holds

    @abstractmethod
    def abnormal(self, norm: float) -> bool:
        """Return whether the norm is too far from the earlier ones."""


class ExplodingGradient(GradientNorm):
    """Exploding gradients: far above the median. Not fatal, because Adam and similar optimizers divide by the size of
    the gradient and may cope, and a loss that is not finite stops the run anyway."""

    kind = "exploding-gradient"
    min_history = 10  # the first norms are often small
    min_ticks = 2  # the norm of a single step may be an outlier; good runs stay within 9 medians
    limit, recovery = 100.0, 10.0  # relative to the median
    harmless = 10.0  # a norm up to this is no explosion, however small the median

    def abnormal(self, norm: float) -> bool:
        return norm > max(self.harmless, self.threshold * self._median())

    def explain(self, step: int, scalars: Scalars) -> tuple[str, str]:
        norm = scalars[f"gradient/{self.player}"]
        return (
            f"The gradient of the {self.player} is exploding: its norm is {norm:.3g}; the median was "
            f"{self._median():.3g}.",
            f"The learning rate is probably too high. Try a lower --set optimizer.{self.player}.lr=..., "
            "--set optimizer.name=adam, or another --loss.",
        )

    def _median(self) -> float:
        return self.norms[len(self.norms) // 2]


class VanishingGradient(GradientNorm):
    """Vanishing gradients of a generator that has learned before, with any loss: a tiny fraction of its largest. Not
    fatal, because the gradient alone does not show why."""

    kind = "vanishing-gradient"
    min_history = 1  # if the discriminator wins early, all norms but the first are small
    min_steps, min_ticks = 500, 5
    limit, recovery = 1e-4, 1e-2  # relative to the largest; good runs never fell below 3e-2

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        if scalars.get(FAKE, 1) <= DiscriminatorWon.recovery:
            return None  # the discriminator has won, which has an alarm of its own
        return super().holds(step, scalars)

    def abnormal(self, norm: float) -> bool:
        return norm <= self.threshold * self.norms[-1]

    def explain(self, step: int, scalars: Scalars) -> tuple[str, str]:
        norm = scalars[f"gradient/{self.player}"]
        return (
            f"The gradient of the {self.player} is vanishing: its norm is {norm:.3g}; the largest was "
            f"{self.norms[-1]:.3g}.",
            "The player no longer learns: its loss has saturated, or its opponent has won. Try a lower "
            f"--set optimizer.{self.player}.lr=..., a lower one for its opponent, or another --loss.",
        )
