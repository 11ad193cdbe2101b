"""What observers of a run are told, and what they can answer.

A plugin returns an ``Observer`` from the hook ``ganzoo_observer``. The trainer calls its methods between steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.recipes import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.data import Field


@dataclass(frozen=True)
class RunInfo:
    """A description of a run.

    Attributes:
        directory: the run directory.
        recipe: the resolved recipe: every setting is in it.
        device: such as ``cpu`` or ``cuda:0``.
        examples: number of examples in the dataset.
        fields: the dataset's fields; labels have the names of their classes there.
        parameters: player -> number of parameters it updates.
        batch_size: examples per step.
        steps_per_epoch: steps per epoch.
        total_steps: steps in the whole run.
        start_step: 0, or the step of the checkpoint that training resumes from.
    """

    directory: Path
    recipe: Recipe
    device: str
    examples: int
    fields: Mapping[str, Field]
    parameters: Mapping[str, int]
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    start_step: int


@dataclass(frozen=True)
class Tick:
    """The scalars since the previous tick.

    Attributes:
        step: number of steps done.
        epoch: the step as a fractional number of epochs.
        ends_epoch: whether an epoch ended since the previous tick.
        seconds: training time, summed over all sessions of the run.
        examples_per_second: training throughput since the previous tick.
        scalars: name -> number. Terms that were minimized (``loss/<name>``) and a loss's metrics are means since the
            previous tick. ``gradient/<player>`` is the exception: the norm at this step only. ``metric/<name>`` is a
            result of an evaluation. A loss's metrics and observers' numbers keep their own names.
    """

    step: int
    epoch: float
    ends_epoch: bool
    seconds: float
    examples_per_second: float
    scalars: Mapping[str, float]


def tag(name: str) -> str:
    """Return the name used in plots: ``scores/D(x)`` for ``D(x)``; names that contain a slash are unchanged."""
    return name if "/" in name else f"scores/{name}"


@dataclass(frozen=True)
class Alarm:
    """A problem with the training, in plain words. The engine writes it to metrics.jsonl, tells all observers, and, if
    the alarm is fatal, does what ``train.on_collapse`` says.

    Derive alarms only from ticks. An observer can reread earlier ticks from metrics.jsonl, so a resumed run raises the
    same alarms as an uninterrupted one.

    Attributes:
        kind: a short name, such as ``collapse``.
        message: what was observed, in one sentence.
        remedy: the likely cause and what may help.
        last_healthy_step: the last step known to be healthy; a rollback returns to it, or to an earlier step.
            With the default, 0, no rollback is possible.
        fatal: whether further training is pointless, so that ``train.on_collapse`` applies.
    """

    kind: str
    message: str
    remedy: str = ""
    last_healthy_step: int = 0
    fatal: bool = False

    def __str__(self) -> str:
        return " ".join(filter(None, (self.message, self.remedy)))


class Observer:
    """Watches one session of a run: from the start, a resume or a rollback until training stops.

    The trainer calls these methods between steps, never inside one. Numbers and images are on the CPU already, so an
    observer causes no synchronization. The global random state is restored after each call. An observer that raises an
    exception is reported in one warning and left out for the rest of the session; training continues.
    """

    def on_tick(self, tick: Tick) -> Alarm | Sequence[Alarm] | None:
        """Receive the scalars since the previous tick: every ``train.log_every`` steps, and at the end of training.
        Return an alarm if they show a problem."""

    def on_samples(
        self, step: int, images: Mapping[str, Tensor], samples: Mapping[str, Tensor]
    ) -> Mapping[str, float] | None:
        """Receive samples from the fixed noise: before the first step, at the first tick after every
        ``train.sample_every`` epochs, and at the end. They are at least ``train.sample_min_steps`` apart.

        Args:
            step: number of steps done.
            images: pictures of those samples that can be drawn, float32 (N, C, H, W) in [-1, 1]. 2-D points are drawn
                as one scatter plot.
            samples: name -> float32 (N, *shape): what ``Model.preview`` returned.

        Returns:
            Numbers (name -> float) that join the scalars of the next tick. Those from before the first step are
            dropped.
        """

    def on_alarm(self, step: int, alarm: Alarm) -> None:
        """Report an alarm to the user. It is in metrics.jsonl already."""

    def on_checkpoint(self, step: int, path: Path) -> None:
        """A complete checkpoint was saved at ``path``. Flush any output that must be complete up to this step."""

    def on_end(self, state: str, reason: str) -> None:
        """Training has stopped. Close what was opened. Called even if this observer raised an exception earlier.

        Args:
            state: ``finished``, ``interrupted``, ``failed`` or ``rolled back``. After a rollback a new observer is made
                for the session that follows.
            reason: why, in words; may be empty.
        """
