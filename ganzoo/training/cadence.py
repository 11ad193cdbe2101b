"""When something besides training is due: ticks, pictures, evaluations and checkpoints.

All of it follows from the number of the step, so a resumed run does the same as an uninterrupted one.
"""

from dataclasses import dataclass

from ganzoo.training.settings import TrainSettings


@dataclass(frozen=True)
class Cadence:
    """What is due after a step. After the last step, everything is.

    Attributes:
        settings: the intervals.
        steps_per_epoch, total_steps: of the run.
    """

    settings: TrainSettings
    steps_per_epoch: int
    total_steps: int

    def next_due(self, step: int) -> int:
        """Return the next step after ``step`` at which something is due. Pictures come with ticks."""
        intervals = (self.settings.log_every, self.settings.checkpoint_every, self.settings.evaluate_every)
        return min(self.total_steps, *((step // every + 1) * every for every in intervals if every))

    def tick(self, step: int) -> bool:
        """Return whether the scalars are averaged: at each multiple of ``log_every``."""
        return self._at(self.settings.log_every, step)

    def ends_epoch(self, step: int) -> bool:
        """Return whether an epoch has ended with this tick, or since the one before."""
        return self._passed(self.steps_per_epoch, step)

    def pictures(self, step: int) -> bool:
        """Return whether pictures are shown: at the first tick after every ``sample_every`` epochs. Where these are
        shorter than ``sample_min_steps``, at the first tick after the fewest such periods that are as long."""
        period = self.settings.sample_every * self.steps_per_epoch
        period *= -(-self.settings.sample_min_steps // period)  # rounded up
        return step == self.total_steps or (self.tick(step) and self._passed(period, step))

    def evaluation(self, step: int) -> bool:
        """Return whether the model is evaluated."""
        return bool(self.settings.evaluate_every) and self._at(self.settings.evaluate_every, step)

    def checkpoint(self, step: int) -> bool:
        """Return whether a checkpoint is saved."""
        return self._at(self.settings.checkpoint_every, step)

    def _at(self, every: int, step: int) -> bool:
        return step % every == 0 or step == self.total_steps

    def _passed(self, every: int, step: int) -> bool:
        """Return whether a multiple of ``every`` lies after the tick before ``step``, up to ``step``."""
        before = (step - 1) // self.settings.log_every * self.settings.log_every
        return step // every > before // every
