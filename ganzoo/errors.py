"""What ganzoo says when something is wrong: what, where, and what to do next.

The command line prints these as one message and exits with ``exit_code``; anything else that escapes is a bug of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GanzooError(Exception):
    """Something went wrong that the user can act on."""

    exit_code = 1


class UsageError(GanzooError):
    """What was typed, or written in a recipe or registry file, cannot be meant. Found before anything is written."""

    exit_code = 2


class Interrupted(KeyboardInterrupt):
    """A signal asked a run to stop; it finished its step and saved. ``exit_code`` is the shell's 128 + signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that helps with a mistyped name: the nearest match, or else what there is."""
    known = sorted(known)
    if not known:
        return "There are none."
    lowered = {k.lower(): k for k in known}
    if close := get_close_matches(name.lower(), lowered, n=1, cutoff=0.5):
        return f"Did you mean {lowered[close[0]]!r}?"
    return f"There is: {', '.join(known)}."


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> UsageError:
    """Return the error for a name that nobody knows, with the nearest one that somebody does."""
    place = f" in {where}" if where else ""
    return UsageError(f"Unknown {what} {name!r}{place}. {nearest(name, known)}")
