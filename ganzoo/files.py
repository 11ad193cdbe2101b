"""Writing files so that a crash, a kill or a full disk leaves the old file or the new one, never a mixture."""

import os
from pathlib import Path

TEMPORARY = ".tmp"
"""Suffix of files and folders that are not finished yet."""


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Wait until the entries of a directory are on the disk. Windows neither offers nor needs this."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in the same folder, then rename it.

    Raises:
        OSError: the file could not be written; an older file of that name is untouched.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        write_synced(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
