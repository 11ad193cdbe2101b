"""Console output that never stops the work, even if no one reads it anymore."""

import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GONE = {errno.EPIPE, errno.EIO} | ({errno.EINVAL} if os.name == "nt" else set())  # a closed pipe, a closed terminal


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Make untrusted text safe to show in a terminal: control characters, which could move the cursor or change the
    order of letters, are escaped. Line breaks and tabs remain."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class Steady:
    """An output stream whose writes never fail: what cannot be written is dropped, and characters that its
    encoding lacks are escaped.

    Attributes:
        error: the first error that lost output, unless the reader was simply gone; None if there was none.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: Exception | None = None

    def write(self, text: Any) -> int:
        """Write what can be written."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            self.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write the lines one by one."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what was written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    @property
    def buffer(self) -> "Steady":
        """The underlying byte stream, also steady."""
        return Steady(self._stream.buffer)

    def drop(self) -> None:
        """Discard all further output, including what is buffered; otherwise Python complains when it exits."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def _lose(self, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in _GONE:
            self.drop()
        elif not self.error:
            self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def steady() -> Iterator[None]:
    """Make standard output and standard error steady within the block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _steady(sys.stdout), _steady(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def finish() -> Exception | None:
    """Flush standard output and standard error at the end of a process, within ``steady``. Return the error that
    lost standard output; None if nothing was lost, or its reader is gone."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(stream, Steady) and stream.error:
            stream.drop()
    return sys.stdout.error if isinstance(sys.stdout, Steady) else None


def _steady(stream: Any) -> Any:
    if stream is None:  # it was closed when the process started
        return Steady(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123 - stays open until exit
    return stream if isinstance(stream, Steady) else Steady(stream)
