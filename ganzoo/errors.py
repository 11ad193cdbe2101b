"""Errors that tell users what is wrong, where, and what to do next.

The command line prints these as one message and exits with ``exit_code``. Any other exception that escapes is a bug.
"""

import sys
from collections.abc import Iterable
from difflib import get_close_matches


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
    """Return a sentence that helps with a mistyped name: the closest known name, or else all of them."""
    known = sorted(known)
    if not known:
        return "None are available."
    lowered = {k.lower(): k for k in known}
    if close := get_close_matches(name.lower(), lowered, n=1, cutoff=0.5):
        return f"Did you mean {lowered[close[0]]!r}?"
    return f"Available: {', '.join(known)}."


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> UsageError:
    """Return the error for an unknown name, with the closest known name."""
    place = f" in {where}" if where else ""
    return UsageError(f"Unknown {what} {name!r}{place}. {nearest(name, known)}")


def format_error(error: BaseException) -> str:
    """Return an exception as one line: its message, preceded by its type unless it is one of ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, GanzooError) else f"{type(error).__name__}: {text}"


def warn(message: str) -> None:
    """Print a warning to standard error; the work continues."""
    print(f"Warning: {message}", file=sys.stderr, flush=True)
