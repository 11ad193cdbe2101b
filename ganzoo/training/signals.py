"""Signals: a run that is asked to stop finishes its step and saves; so do its worker processes."""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

from ganzoo import distributed

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP within the block, so that a step can finish and be saved.

    SIGHUP means that the terminal was closed. Another signal more than a second later acts immediately. Within that
    second it counts as the same one, because some launchers deliver a signal twice. Outside the main thread, and for
    signals that are ignored (background jobs), nothing changes.
    """
    caught: list[int] = []
    first: list[float] = []

    def catch(number: int, frame: FrameType | None) -> None:
        if caught and time.monotonic() - first[0] > 1.0:
            raise KeyboardInterrupt
        caught.append(number)
        first.append(time.monotonic())

    with _handled_by(catch, [s for s in _STOPPING if signal.getsignal(s) != signal.SIG_IGN]):
        yield caught


def stop_signal(caught: list[int]) -> int:
    """Return the signal at which training stops after this step; 0 if there is none. Several processes stop together.
    If their launcher is gone, they stop as if the terminal had been closed."""
    number = caught[0] if caught else 0
    if distributed.world_size() == 1:
        return number
    if not number and os.getppid() != distributed.launcher():
        number = signal.SIGHUP
    return distributed.largest(number)


def stopping_ignored() -> AbstractContextManager[None]:
    """Make processes that start within the block ignore the signals that stop a run, which launchers and terminals send
    to all: the main process needs them until it has finished its step and saved."""
    return _handled_by(signal.SIG_IGN, _STOPPING)


def ignore_stopping(worker: int) -> None:
    """Make a loader process ignore these signals; torch gives it a handler of SIGTERM that ends it."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _handled_by(handler: Any, signals: Iterable[int]) -> Iterator[None]:
    """Handle signals in this way within the block. Outside the main thread, which alone can, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {s: signal.signal(s, handler) for s in signals}
    try:
        yield
    finally:
        for s, before in previous.items():
            signal.signal(s, before)
