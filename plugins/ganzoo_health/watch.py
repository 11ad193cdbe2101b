"""The rules: what is wrong with a training, judged from the scalars of its ticks and nothing else.

Each rule says whether a condition holds at a tick. Its alarm is raised when the condition has held for long enough,
and again only after it has ceased to hold, for which the limits are wider than for its beginning.
"""

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Mapping
from typing import ClassVar

from ganzoo import Alarm

Scalars = Mapping[str, float]
REAL, FAKE, LOSS, DIVERSITY = "D(x)", "D(G(z))", "loss/generator", "health/diversity"


class Watch:
    """All rules, over the ticks of one run. Two that see the same ticks say the same.

    Args:
        steps_per_epoch: of the run.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        self._rules: list[Rule] = [Won(), Blind(), Collapse(steps_per_epoch)]
        self._players: set[str] = set()

    def see(self, step: int, scalars: Scalars) -> list[Alarm]:
        """Look at the next tick and return what begins to be wrong with it; ``scalars``: name -> mean."""
        for name in scalars:
            player = name.removeprefix("gradient/")
            if player not in (name, *self._players):
                self._players.add(player)
                self._rules.append(Exploding(player))
                if "generator" in player:
                    self._rules.append(Vanishing(player))
        return [alarm for rule in self._rules if (alarm := rule.see(step, scalars))]


class Rule(ABC):
    """One thing that may go wrong.

    Attributes:
        kind: the alarm's name.
        fatal: whether training on is a waste.
        steps, ticks: for how long the condition must hold before it counts, both.
        well: the last step at which it did not hold, 0 before there was one.
    """

    kind: ClassVar[str]
    fatal: ClassVar[bool] = False
    steps: ClassVar[int] = 0
    ticks: ClassVar[int] = 1

    def __init__(self) -> None:
        self.well, self.held, self.raised = 0, 0, False

    def see(self, step: int, scalars: Scalars) -> Alarm | None:
        """Look at the next tick; return an alarm if this is where it has been wrong for long enough."""
        holds = self.holds(step, scalars)
        if holds is None:
            return None
        if not holds:
            self.well, self.held, self.raised = step, 0, False
            return None
        self.held += 1
        if self.raised or self.held < self.ticks or step - self.well < self.steps:
            return None
        self.raised = True
        return Alarm(self.kind, *self.words(step, scalars), since=self.well, fatal=self.fatal)

    @abstractmethod
    def holds(self, step: int, scalars: Scalars) -> bool | None:
        """Return whether the condition holds; None if this tick does not tell. It may ask whether it is ``raised``."""

    @abstractmethod
    def words(self, step: int, scalars: Scalars) -> tuple[str, str]:
        """Return what was seen, and the likely cause and what helps: 300 characters together."""


class Won(Rule):
    """The discriminator has won: it is sure of every sample, and the generator does not catch up. Fatal, because a
    discriminator that is never wrong hardly tells the generator what would be better."""

    kind = "discriminator-won"
    fatal = True
    steps, ticks = 500, 5  # good runs were 0.88 and 0.20 at most; other networks may be surer for a while
    sure, unsure = 0.01, 0.05  # how far from 1 and 0: to begin, and to cease
    catching_up = 0.9  # the generator's loss, over what it was when this began
    loss: float | None = None  # what it was

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        if REAL not in scalars or FAKE not in scalars:
            return None  # a critic's scores have no limits
        if max(1 - scalars[REAL], scalars[FAKE]) > (self.unsure if self.raised else self.sure):
            return False
        loss = scalars.get(LOSS)
        if self.held == 0:
            self.loss = loss
        falls = loss is not None and self.loss is not None and loss < self.catching_up * self.loss
        return self.raised or not falls

    def words(self, step: int, scalars: Scalars) -> tuple[str, str]:
        return (
            f"The discriminator has won: D(x) {scalars[REAL]:.3f} and D(G(z)) {scalars[FAKE]:.3f}, so sure for "
            f"{step - self.well} steps, and the generator does not catch up.",
            "Its learning rate may be too high, or the generator's far off. Try --set optimizer.discriminator.lr=... "
            "or --set optimizer.generator.lr=..., or another --loss.",
        )


class Blind(Rule):
    """The discriminator is blind: it takes fakes for real at least as often as real samples. In a good equilibrium the
    two are as near, but D(x) stays above on average, and the fakes are diverse."""

    kind = "discriminator-blind"
    steps, ticks = 1000, 10  # good runs were so for two ticks of 100 steps; nobody who learns is for so many
    gap, wide = 0.0, 0.02  # D(x) - D(G(z)): to begin, and to cease
    diverse = 0.5  # below it, the fakes are not there yet

    def __init__(self) -> None:
        super().__init__()
        self.diversity: float | None = None

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        self.diversity = scalars.get(DIVERSITY, self.diversity)
        if REAL not in scalars or FAKE not in scalars:
            return None
        if self.diversity is not None and self.diversity > self.diverse:
            return False
        return scalars[REAL] - scalars[FAKE] <= (self.wide if self.raised else self.gap)

    def words(self, step: int, scalars: Scalars) -> tuple[str, str]:
        return (
            f"The discriminator is blind: D(x) {scalars[REAL]:.3f} is not above D(G(z)) {scalars[FAKE]:.3f}, for "
            f"{step - self.well} steps.",
            "It learns too slowly or not at all, so the generator has nothing to learn from. Try a higher "
            "--set optimizer.discriminator.lr=... or a lower --set optimizer.generator.lr=...",
        )


class Collapse(Rule):
    """Mode collapse: the fakes were diverse and are not any more, or have not become so in a long time. Fatal, because
    what a generator has forgotten it seldom learns again."""

    kind = "collapse"
    fatal = True
    diverse, low, recovered = 0.4, 0.2, 0.3  # one mode of eight is 0.14, two are 0.26: to be worth losing, lost, found
    epochs, least = 2, 30_000  # a new generator makes the same of any noise; fc-mnist does for 19,000 steps

    def __init__(self, steps_per_epoch: int) -> None:
        super().__init__()
        self.warm_up = max(self.epochs * steps_per_epoch, self.least)
        self.was_diverse = False

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        value = scalars.get(DIVERSITY)
        if value is None:
            return None
        self.was_diverse |= value >= self.diverse
        if value >= (self.recovered if self.raised else self.low):
            return False
        return True if self.was_diverse or step > self.warm_up else None

    def words(self, step: int, scalars: Scalars) -> tuple[str, str]:
        before = f"it was better until step {self.well}" if self.well else "it never was better"
        return (
            f"Mode collapse: the samples are {scalars[DIVERSITY]:.2f} times as diverse as the data; {before}.",
            "The generator repeats a few samples that pass. Try a lower --set optimizer.generator.lr=..., "
            "--set optimizer.betas=[0.5,0.999], a larger --batch-size, or another --loss.",
        )


class Norm(Rule):
    """One player's gradient norm, against what it was in the earlier ticks in which this condition did not hold."""

    earlier: ClassVar[int]  # so many ticks are needed to compare with

    def __init__(self, player: str) -> None:
        super().__init__()
        self.player = player
        self.norms: list[float] = []  # sorted

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        norm = scalars.get(f"gradient/{self.player}")
        if norm is None:
            return None
        holds = len(self.norms) >= self.earlier and self.off(norm)
        if not holds:
            insort(self.norms, norm)
        return holds

    @abstractmethod
    def off(self, norm: float) -> bool:
        """Return whether the norm is too far from the earlier ones."""


class Exploding(Norm):
    """Exploding gradients: far above the median. Not fatal, because Adam and its like divide by the gradient's size and
    may survive it, and a loss that is not finite stops the run anyway."""

    kind = "exploding-gradient"
    earlier = 10  # the first ones are often small
    ticks = 2  # the norm is of one step, which may be an odd one; good runs stay within 9 medians
    above, back = 100.0, 10.0  # times the median: to begin, and to cease
    harmless = 10.0  # where the usual norm is next to nothing, a hundred times that is no explosion

    def off(self, norm: float) -> bool:
        return norm > max(self.harmless, (self.back if self.raised else self.above) * self._median())

    def words(self, step: int, scalars: Scalars) -> tuple[str, str]:
        norm = scalars[f"gradient/{self.player}"]
        return (
            f"The {self.player}'s gradient explodes: its norm is {norm:.3g}, and was {self._median():.3g} on median.",
            f"Likely its learning rate is too high. Try a lower --set optimizer.{self.player}.lr=..., "
            "--set optimizer.name=adam, or another --loss.",
        )

    def _median(self) -> float:
        return self.norms[len(self.norms) // 2]


class Vanishing(Norm):
    """Vanishing gradients of a generator that learned before, whatever the loss: next to nothing of its largest. Not
    fatal, because the gradient alone does not tell why."""

    kind = "vanishing-gradient"
    earlier = 1  # where the discriminator wins early, all but the first ones are small
    steps, ticks = 500, 5
    below, back = 1e-4, 1e-2  # of the largest: to begin, and to cease; good runs never fell below 3e-2

    def holds(self, step: int, scalars: Scalars) -> bool | None:
        if scalars.get(FAKE, 1) <= Won.unsure:
            return None  # then the discriminator has won, which is told already
        return super().holds(step, scalars)

    def off(self, norm: float) -> bool:
        return norm <= (self.back if self.raised else self.below) * self.norms[-1]

    def words(self, step: int, scalars: Scalars) -> tuple[str, str]:
        norm = scalars[f"gradient/{self.player}"]
        return (
            f"The {self.player}'s gradient vanishes: its norm is {norm:.3g}; the largest was {self.norms[-1]:.3g}.",
            "It learns nothing any more: it is saturated, or its opponent has won. Try a lower "
            f"--set optimizer.{self.player}.lr=..., a lower one for its opponent, or another --loss.",
        )
