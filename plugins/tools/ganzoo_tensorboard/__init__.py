"""TensorBoard: writes scalars and pictures of a run into its directory. View them: ``tensorboard --logdir runs``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo import Alarm, Observer, RunInfo, Tick, hookimpl
from ganzoo.events import tag

if TYPE_CHECKING:
    from torch import Tensor


@hookimpl
def ganzoo_observer(run: RunInfo) -> Observer:
    return TensorBoard(run)


class TensorBoard(Observer):
    """Writes one event file per session."""

    def __init__(self, run: RunInfo) -> None:
        from torch.utils.tensorboard import SummaryWriter

        earlier = any(run.directory.glob("events.out.tfevents.*"))
        purge = run.start_step + 1 if run.start_step else 0  # hide what an earlier session wrote after this step
        self.writer = SummaryWriter(str(run.directory), purge_step=purge if earlier else None)

    def on_tick(self, tick: Tick) -> None:
        for name, value in tick.scalars.items():
            self.writer.add_scalar(tag(name), value, tick.step)
        self.writer.add_scalar("speed/images_per_second", tick.images_per_second, tick.step)

    def on_samples(self, step: int, images: Mapping[str, "Tensor"], samples: Mapping[str, "Tensor"]) -> None:
        from ganzoo.images import grid

        for name, value in images.items():
            self.writer.add_image(f"images/{name}", grid(value), step)

    def on_alarm(self, step: int, alarm: Alarm) -> None:
        self.writer.add_text(f"alarms/{alarm.kind}", str(alarm), step)

    def on_checkpoint(self, step: int, path: Path) -> None:
        self.writer.flush()

    def on_end(self, state: str, reason: str) -> None:
        self.writer.close()
