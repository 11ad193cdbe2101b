"""Signals: a run that is asked to stop finishes its step and saves, and so do the processes that help it."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def collected() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them, so that a step can end and be saved.

    Another one more than a second later acts at once; sooner, it is the same one, delivered twice by a launcher.
    Outside the main thread, and where a signal is ignored (a background job), nothing changes.
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

    ours = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) != signal.SIG_IGN]
    previous = {s: signal.signal(s, catch) for s in ours}
    try:
        yield caught
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)


@contextmanager
def ignored() -> Iterator[None]:
    """Processes started within the block ignore Ctrl-C, from their first moment on: the main process finishes its step
    and saves, and needs them for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
