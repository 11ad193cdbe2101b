"""How far the decoding is, on standard error: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time

_SECONDS = 10.0


def say(message: str) -> None:
    """Print one line on standard error."""
    print(message, file=sys.stderr, flush=True)


class Progress:
    """Shows how many of ``total`` are done, within its block."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._since = total, 0, time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None

    def advance(self, count: int) -> None:
        """Count some more."""
        self._done += count
        if self._bar:
            self._bar.update(self._task, completed=self._done)
        elif time.monotonic() - self._since > _SECONDS:
            self._since = time.monotonic()
            say(f"  {self._done:,} of {self._total:,}")

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("reading", total=self._total)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()


def _bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True))
