"""Listing a folder: its picture files, in an order that depends only on their names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG

from PIL import Image

from ganzoo import UsageError
from ganzoo.errors import nearest
from ganzoo_images.decode import NOT_REGULAR, opened, suffixes
from ganzoo_images.planes import TIFF, check_installed, pages as tiff_pages

_SUBFILE = 254  # TIFF's tag NewSubfileType; bit 0: a smaller version of another page
_HEIF = {".heic", ".heif", ".hif"}


@dataclass(frozen=True)
class Source:
    """One picture file.

    Attributes:
        name: its path relative to the folder, with "/" as separator.
        path: where it is.
        stamp: see ``stamp``.
        page: of a TIFF, counted from 0. The names of further pages end in ``#1``, ``#2``, ...
    """

    name: str
    path: str
    stamp: tuple[int, int, int] | str
    page: int = 0


def find(root: Path) -> tuple[list[Source], Counter[str]]:
    """Return the picture files of a folder and its subfolders, sorted by name, and how many other files there are of
    each suffix. Hidden files and folders are ignored; links are followed.

    Raises:
        UsageError: it is not a folder, cannot be read, or has no pictures.
    """
    if not root.is_dir():
        _refuse(root)
    sources: list[Source] = []
    others: Counter[str] = Counter()
    try:
        for entry, name in _files(root, "", ()):
            suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - pathlib is slow for 200,000 files
            if suffix in suffixes():
                sources.append(Source(name, entry.path, stamp(entry)))
            else:
                others[suffix or "no suffix"] += 1
    except OSError as error:
        raise UsageError(f"Cannot read the folder {error.filename}: {error.strerror or error}.") from error
    if not sources:
        content = f"{others.total()} other files were ignored ({counts(others)})" if others else "it is empty"
        raise UsageError(f"No pictures in {root.resolve()}: {content}. Supported suffixes include .png and .jpg.")
    return sorted(sources, key=lambda source: source.name), others


def pages(path: str, as_they_are: bool = False) -> list[int]:
    """Return the pages of a TIFF file that are pictures of their own, counted from 0: all but smaller versions of
    others. A file that cannot be read counts as one page; ``decode`` says what is wrong.

    Args:
        path: of the file.
        as_they_are: ask tifffile, which reads more files than Pillow.
    """
    try:
        if as_they_are:
            with opened(path) as file:
                return tiff_pages(file)
        with opened(path) as file, Image.open(file, formats=["TIFF"]) as image:
            found = []
            for page in range(getattr(image, "n_frames", 1)):
                image.seek(page)
                if page == 0 or not int(getattr(image, "tag_v2", {}).get(_SUBFILE, 0)) & 1:
                    found.append(page)
            return found
    except Exception:
        return [0]


def with_pages(sources: Iterable[Source], as_they_are: bool = False) -> list[Source]:
    """Return the files with one entry for each page of a TIFF, whose channels may be needed as they are.

    Raises:
        UsageError: tifffile is needed, and is not installed.
    """
    found = []
    for source in sources:
        tiff = source.name.lower().endswith(TIFF)
        if tiff and as_they_are:
            check_installed()
        for page in pages(source.path, as_they_are) if tiff else [0]:
            found.append(replace(source, name=f"{source.name}#{page}", page=page) if page else source)
    return found


def file_of(name: str) -> str:
    """Return the name of the file of a picture."""
    return re.sub(r"(?i)(\.tiff?)#[0-9]+$", r"\1", name)


def counts(others: Counter[str]) -> str:
    """Return how many files of each suffix there are, in words, and what would read them."""
    named = [f"{count:,} with {suffix}" for suffix, count in others.most_common(5)]
    more = [f"{len(others) - 5:,} other suffixes"] if len(others) > 5 else []
    heif = " (pip install pillow-heif reads these)" if not _HEIF.isdisjoint(others) else ""
    return f"{', '.join([*named, *more])}{heif}"


def stamp(entry: "os.DirEntry[str] | Path") -> tuple[int, int, int] | str:
    """Return the size of a file and the times when its bytes and its inode last changed, in ns; or why it cannot be
    read. The inode's time cannot be set back, unlike that of the bytes."""
    try:
        found = entry.stat()
    except OSError as error:
        return error.strerror or str(error)
    if not S_ISREG(found.st_mode):
        return NOT_REGULAR
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _files(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Yield files and their names. ``above`` identifies the folders above it: a link to one of them is not followed."""
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
            elif entry.is_file() or entry.is_symlink():  # a link to nothing, or to a device, is reported
                yield entry, name


def _refuse(root: Path) -> None:
    full = Path(os.path.abspath(root))  # noqa: PTH100 - as typed: no links resolved
    if root.exists():
        raise UsageError(f"data.path = {str(root)!r} is a file, not a folder of pictures ({full}).")
    siblings = [p.name for p in full.parent.iterdir() if p.is_dir()] if full.parent.is_dir() else []
    close = f" {text}" if (text := nearest(full.name, siblings)).startswith("Did") else ""
    raise UsageError(f"data.path = {str(root)!r}: there is no folder {full}.{close}")
