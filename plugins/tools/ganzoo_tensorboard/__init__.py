"""TensorBoard: writes scalars, pictures and the recipe of a run into its directory. View them: ``tensorboard --logdir
runs``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganzoo import Alarm, Observer, RunInfo, Tick, hookimpl
from ganzoo.events import tag

if TYPE_CHECKING:
    from torch import Tensor


@hookimpl
def ganzoo_observer(run: RunInfo) -> Observer:
    return TensorBoard(run)


class TensorBoard(Observer):
    """Writes one event file per session. The first one has the recipe: its text, and its settings for the page HPARAMS,
    which compares runs."""

    def __init__(self, run: RunInfo) -> None:
        from ganzoo.runs.directory import RECIPE
        from ganzoo_tensorboard.events import EventFile, session

        earlier = any(run.directory.glob("events.out.tfevents.*"))
        purge = run.start_step + 1 if run.start_step else 0  # hide what an earlier session wrote after this step
        self.file = EventFile(run.directory, purge if earlier else None)
        if not earlier:
            code = (run.directory / RECIPE).read_text(encoding="utf-8")
            for summary in session(run.recipe, code):
                self.file.add(summary, 0)
            self.file.flush()

    def on_tick(self, tick: Tick) -> None:
        from torch.utils.tensorboard.summary import scalar

        for name, value in tick.scalars.items():
            self.file.add(scalar(tag(name), value), tick.step)
        self.file.add(scalar("speed/examples_per_second", tick.examples_per_second), tick.step)
        self.file.flush()

    def on_samples(self, step: int, images: Mapping[str, "Tensor"], samples: Mapping[str, "Tensor"]) -> None:
        from torch.utils.tensorboard.summary import image

        from ganzoo.images import grid

        for name, value in images.items():
            if name != "real" or step == 0:  # it never changes
                self.file.add(image(f"images/{name}", grid(value), dataformats="CHW"), step)
        self.file.flush()

    def on_alarm(self, step: int, alarm: Alarm) -> None:
        from torch.utils.tensorboard.summary import text

        self.file.add(text(f"alarms/{alarm.kind}", str(alarm)), step)
        self.file.flush()

    def on_end(self, state: str, reason: str) -> None:
        self.file.close()
