"""Writing files so that a crash, a kill or a full disk leaves either the old one or the new one, never half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".tmp"


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Wait until a directory's own entries are on the disk; Windows neither offers nor needs it."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its own, and rename it."""
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        write_synced(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def forgiving(when: bool) -> Iterator[None]:
    """Within the block a failed write passes quietly ``when`` an earlier error is the one to show."""
    try:
        yield
    except OSError:
        if not when:
            raise
