"""Errors that tell users what is wrong, where, and what to do next.

The command line prints these as one message and exits with ``exit_code``. Any other exception that escapes is a bug.
"""

import re
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from ganzoo import words
from ganzoo.console import clean

_NEAR = 0.6
"""How alike two names must be (0 to 1, as difflib measures) for one to be suggested: 'phtos' and 'photos' have 0.91,
'compile' and 'on_collapse' have 0.44."""


class GanzooError(Exception):
    """Something went wrong that the user can act on."""

    exit_code = 1


class UsageError(GanzooError):
    """A command, a recipe or a registry file asks for something that cannot work. Raised before anything is written."""

    exit_code = 2


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM. The step was finished and saved, unless a second signal came more than a second later.
    ``exit_code`` is the shell's 128 + signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that helps with an unknown name: where it leads if others use it, the closest known name if it
    is near, or else all of them."""
    known = sorted(known)
    if not known:
        return "None are available."
    if hint := words.lead(name, known, sentences=False):
        return hint
    table = name.rpartition(".")[0]  # what all of them have in common makes none of them nearer
    shared = f"{table}." if table and all(k.startswith(f"{table}.") for k in known) else ""
    plain = {_plain(k.removeprefix(shared)): k for k in known}
    typed = _plain(name.removeprefix(shared))
    first = {k.partition("-")[0]: k for k in plain}  # of a name in two parts, people type the first
    close = get_close_matches(typed, plain, n=1, cutoff=_NEAR)
    close = close or [first[k] for k in get_close_matches(typed, first, n=1, cutoff=0.8)]
    close = close or [k for k in plain if min(len(k), len(typed)) > 2 and (k.startswith(typed) or typed.startswith(k))]
    if len(close) == 1:
        return f"Did you mean {plain[close[0]]!r}?"
    if hint := words.lead(name, known):
        return hint
    return f"Available: {', '.join(known)}."


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> UsageError:
    """Return the error for an unknown name, with the closest known name."""
    place = f" in {where}" if where else ""
    return UsageError(f"Unknown {what} {name!r}{place}. {nearest(name, known)}")


def format_error(error: BaseException) -> str:
    """Return an exception as one line: its message, preceded by its type unless it is one of ours."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an error of a plugin, whose text is an error itself
        text = "(its message cannot be shown)"
    return text if isinstance(error, GanzooError) else f"{type(error).__name__}: {text}"


def explained(error: BaseException) -> str:
    """Return an exception as one line, with its notes, and with the file and the line of the plugin's code that raised
    it."""
    details = list(getattr(error, "__notes__", ()))
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _NOT_TO_BLAME:
            path = Path(frame.f_code.co_filename)
            details.append(f"{path.parent.name}/{path.name}, line {line}")
            break
    return format_error(error) + (f" ({'; '.join(details)})" if details else "")


_NOT_TO_BLAME = {"ganzoo", "torch", "torchvision", "numpy", "PIL", "pluggy", "pydantic", *sys.stdlib_module_names}
_MEMORY = ("Out of memory", "Use a smaller --batch-size, fewer samples, or --set train.cache_on_device=never")
_SHORTAGES = {  # libraries raise RuntimeError for these; only the text tells them from mistakes in the code
    r"shared memory|unable to (write to file|mmap|open shared).*torch_": (
        "Out of shared memory (/dev/shm), through which loader processes pass batches",
        "Give it more room, or use --set train.num_workers=0",
    ),
    r"DataLoader worker .*(killed by signal|exited unexpectedly)": (
        "A loader process was killed or ended unexpectedly, which often means that memory ran out",
        "Use fewer processes, or none: --set train.num_workers=0",
    ),
    r"can't allocate memory|not enough memory|out of memory|Cannot allocate memory": _MEMORY,
}


def shortage(error: BaseException) -> tuple[str, str] | None:
    """Return what the machine ran out of, and a remedy, in words without a period; None if this is another error."""
    if isinstance(error, RuntimeError | OSError):
        for pattern, words in _SHORTAGES.items():
            if re.search(pattern, str(error), re.IGNORECASE | re.DOTALL):
                return words
    return _MEMORY if isinstance(error, MemoryError) else None


def warn(message: str) -> None:
    """Print a warning to standard error; the work continues, even if there is no standard error."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"Warning: {clean(message)}", file=sys.stderr, flush=True)
