"""What is in a folder: picture files, in an order that depends on their names alone."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ganzoo import UsageError
from ganzoo.errors import nearest
from ganzoo_images.decode import suffixes


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes:
        name: relative to the folder, with "/" between its parts.
        path: where it is.
        stamp: size, and the times of the last change of its bytes and of its entry, in ns; None if nobody can tell.
    """

    name: str
    path: str
    stamp: tuple[int, int, int] | None


@dataclass
class Listing:
    """The picture files of a folder, sorted by name, and how many others there are of each suffix."""

    sources: list[Source] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def find(root: Path) -> Listing:
    """Return what is in a folder and its sub-folders. Hidden files and folders are passed over; links are followed.

    Raises:
        UsageError: it is no folder, or cannot be read, or has no pictures.
    """
    if not root.is_dir():
        _refuse(root)
    listing = Listing()
    try:
        for entry, name in _files(root, "", ()):
            suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - 200,000 paths would take their time
            if suffix in suffixes():
                listing.sources.append(Source(name, entry.path, stamp(entry)))
            else:
                listing.others[suffix or "no suffix"] += 1
    except OSError as error:
        raise UsageError(f"Cannot read the folder {error.filename}: {error.strerror or error}.") from error
    if not listing.sources:
        there = ", ".join(f"{count} with {suffix}" for suffix, count in listing.others.most_common(5))
        passed = f"{listing.others.total()} other files were passed over ({there})" if there else "it is empty"
        raise UsageError(f"There are no pictures in {root.resolve()}: {passed}. Pictures are .png, .jpg and the like.")
    listing.sources.sort(key=lambda source: source.name)
    return listing


def stamp(entry: "os.DirEntry[str] | Path") -> tuple[int, int, int] | None:
    """Return what changes when a file does. The time of its entry cannot be set back, unlike that of its bytes."""
    try:
        found = entry.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _files(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Yield files and their names. ``above`` are the folders it is in: a link to one of them is not followed."""
    found = folder.stat()
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = prefix + entry.name
            if entry.is_dir():
                yield from _files(Path(entry.path), f"{name}/", (*above, here))
            elif entry.is_file() or entry.is_symlink():  # a link that leads nowhere is worth a word
                yield entry, name


def _refuse(root: Path) -> None:
    full = Path(os.path.abspath(root))  # noqa: PTH100 - as typed: no links resolved
    if root.exists():
        raise UsageError(f"data.path = {str(root)!r} is a file, not a folder of pictures ({full}).")
    siblings = [p.name for p in full.parent.iterdir() if p.is_dir()] if full.parent.is_dir() else []
    close = f" {text}" if (text := nearest(full.name, siblings)).startswith("Did") else ""
    raise UsageError(f"data.path = {str(root)!r}: there is no folder {full}.{close}")
