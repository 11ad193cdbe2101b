"""Training health: alarms in plain words when training goes wrong, with a likely cause and what may help.

``diversity`` measures the samples. ``watch`` holds the rules. They read nothing but the scalars of the ticks, which are
all in metrics.jsonl, so a resumed run raises the same alarms as an uninterrupted one. See docs/health.md.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganzoo import Alarm, Observer, RunInfo, Tick, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


@hookimpl
def ganzoo_observer(run: RunInfo) -> Observer:
    return Health(run)


class Health(Observer):
    """Applies the rules to every tick."""

    def __init__(self, run: RunInfo) -> None:
        from ganzoo.runs.directory import RunDirectory
        from ganzoo_health.watch import Watch

        self.watch = Watch(run.steps_per_epoch)
        for line in RunDirectory(run.directory).read_metrics():  # the ticks of earlier sessions
            if line["step"] <= run.start_step:
                self.watch.check(int(line["step"]), line)

    def on_samples(
        self, step: int, images: Mapping[str, "Tensor"], samples: Mapping[str, "Tensor"]
    ) -> Mapping[str, float] | None:
        """Measure how diverse the generated samples are, if there are real ones of the same shape."""
        from ganzoo_health.diversity import diversity

        if "real" not in samples or "fake" not in samples:
            return None
        value = diversity(samples["fake"], samples["real"])
        return None if value is None else {"health/diversity": value}

    def on_tick(self, tick: Tick) -> list[Alarm]:
        return self.watch.check(tick.step, tick.scalars)
