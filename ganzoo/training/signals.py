"""Signals: a run that is asked to stop finishes its step and saves; so do its worker processes."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, frame: FrameType | None) -> None:
        if caught and time.monotonic() - first[0] > 1.0:
            raise KeyboardInterrupt
        caught.append(number)
        first.append(time.monotonic())

    ours = [s for s in _STOPPING if signal.getsignal(s) != signal.SIG_IGN]
    previous = {s: signal.signal(s, catch) for s in ours}
    try:
        yield caught
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)


@contextmanager
def sigint_ignored() -> Iterator[None]:
    """Make processes that start within the block ignore Ctrl-C: the main process needs them until it has finished its
    step and saved."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
