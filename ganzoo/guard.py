"""Running code of plugins so that it cannot spoil or end what others do."""

import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any

from ganzoo.errors import GanzooError, format_error


class Guarded:
    """A block that runs code of a plugin.

    Only exceptions of the type ``Exception`` leave it, and Ctrl-C. What ends a program otherwise, such as
    ``SystemExit``, becomes a ``GanzooError``. The current directory is restored.

    Args:
        quiet: what the code prints goes to standard error, because standard output belongs to the command. On a
            terminal, where people read both, nothing is redirected.

    Raises:
        GanzooError: the code changed the current directory, or raised what would end the program.
    """

    def __init__(self, *, quiet: bool = True) -> None:
        self.quiet = quiet

    def __enter__(self) -> None:
        self._folder = _folder()
        self._output, self._copy = sys.stdout, -1
        self._redirected = self.quiet and not _is_terminal(self._output)
        if self._redirected:
            sys.stdout = sys.stderr
            self._copy = _redirect(self._output)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._redirected:  # otherwise a progress bar that started in the block may have taken its place
            sys.stdout = self._output
        if self._copy >= 0:
            os.dup2(self._copy, 1)
            os.close(self._copy)
        moved = self._folder is not None and _folder() != self._folder
        if moved and self._folder is not None:
            with suppress(OSError):
                os.chdir(self._folder)
        if error is None and moved:
            raise GanzooError("it changed the current directory, which was undone")
        if error is not None and not isinstance(error, Exception) and type(error) is not KeyboardInterrupt:
            raise GanzooError(format_error(error)) from error


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - text is quicker to compare
    except OSError:  # it was removed
        return None


def _is_terminal(output: Any) -> bool:
    try:
        return bool(output.isatty())
    except (OSError, ValueError, AttributeError):
        return False


def _redirect(output: Any) -> int:
    """Let the descriptor of standard output lead to standard error, for programs and libraries that write to it. Return
    a copy of it; -1 if ``output`` is something else."""
    try:
        if output.fileno() != 1:
            return -1
        output.flush()
        os.fstat(2)  # fails if there is no standard error
        copy = os.dup(1)
        os.dup2(2, 1)
    except (OSError, ValueError, AttributeError):
        return -1
    return copy
