"""Progress of decoding on standard error: a bar on a terminal, otherwise a line every ten seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

_SECONDS = 10.0


def say(message: str) -> None:
    """Print one line on standard error."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def counting(total: int) -> Iterator[Callable[[int], None]]:
    """Show progress within the block. Yields ``advance(count)``, which adds to the number of items done."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield partial(bar.advance, bar.add_task("reading", total=total))
        return
    done, last = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last > _SECONDS:
            last = time.monotonic()
            say(f"  {done:,} of {total:,}")

    yield advance
