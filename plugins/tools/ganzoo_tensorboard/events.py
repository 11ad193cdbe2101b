"""Event files, the format that TensorBoard reads."""

import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter

from ganzoo import Recipe
from ganzoo.flat import flat


class EventFile:
    """A new event file in a folder.

    ``SummaryWriter`` writes in a thread, which prints a traceback when the disk is full, and loses what came before.
    Here each write happens at once, and raises its error where it can be handled.

    Args:
        folder: where the file is made.
        purge_step: TensorBoard hides what earlier files hold from this step on.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
        self._file.flush()

    def add(self, summary: Any, step: int) -> None:
        """Add what a function of ``torch.utils.tensorboard.summary`` returned."""
        self._write(Event(step=step, summary=summary))

    def flush(self) -> None:
        """Hand all events to the system.

        Raises:
            OSError: the disk is full.
        """
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file, even if it cannot be flushed."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def session(recipe: Recipe, code: str) -> list[Any]:
    """Return what says how a run was made: the settings, for TensorBoard's page HPARAMS, and the recipe as text.

    TensorBoard finds the scalars to show beside the settings itself, if no list of them is given.

    Args:
        recipe: the resolved one.
        code: the content of its file.
    """
    from torch.utils.tensorboard.summary import hparams, text

    settings = flat(recipe).items()
    plain = {path: value if isinstance(value, bool | int | float) else str(value) for path, value in settings}
    _, start, _ = hparams(plain, {})
    block = "\n".join(f"    {line}" for line in code.splitlines())  # of code, in Markdown
    return [start, text("recipe", block)]
