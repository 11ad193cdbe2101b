"""Writing files so that a crash, a kill or a full disk leaves the old file or the new one, never a mixture."""

import os
from contextlib import suppress
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


def write_atomically(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file under a temporary name in the same folder, then rename it.

    Args:
        path: the file; if it is a symbolic link, the file that it leads to.
        content: all of it.
        sync: wait until it is on the disk, so that it survives a power cut too.

    Raises:
        OSError: the file could not be written; an older file of that name is untouched.
    """
    path = path.resolve() if path.is_symlink() else path
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        temporary.unlink(missing_ok=True)  # what a kill left, or a link that would be followed
        with temporary.open("xb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):  # the first error is the one to show
            temporary.unlink(missing_ok=True)
    if sync:
        sync_directory(path.parent)


def make_folder(path: Path) -> list[Path]:
    """Make a folder, and its parents, where they are missing. Return those that were made, the deepest first.

    Raises:
        OSError: one of them cannot be made; those that were made before it are removed.
    """
    missing = [folder for folder in (path, *path.parents) if not os.path.isdir(folder)]  # noqa: PTH112 - never raises
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            made.insert(0, folder)
    except OSError:
        remove_folders(made)
        raise
    return made


def remove_folders(folders: list[Path]) -> None:
    """Remove these folders, the deepest first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
