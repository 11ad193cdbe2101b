"""The layouts in which people keep two sets of pictures, A and B."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from PIL import Image

from ganzoo import UsageError
from ganzoo_images.decode import Broken, formats, is_wide, opened, upright
from ganzoo_images.folder import SPLITS
from ganzoo_images.listing import Source, counts, find

_SPLIT = {name: split for split, names in SPLITS.items() for name in names}
_NAME = rf"({'|'.join(sorted(_SPLIT, key=len, reverse=True))})"
_TWO_SIDES = re.compile(rf"(?:{_NAME}([_-]?|/))?(A|B)/(?:{_NAME}/)?(.+)", re.IGNORECASE)
_TRIED = 20  # pictures whose sides are looked at

SHOWN = """
  trainA/ trainB/            two sets (and valA/ valB/, testA/ testB/); pairs only with --set data.paired=true
  A/ B/                      pairs by their file names; also A/train/ B/train/, A/test/ B/test/, or train/A/ train/B/
  train/ (val/ test/)        pairs side by side in one picture, twice as wide as high; or all of them in the folder"""
"""The layouts, for messages."""


@dataclass(frozen=True)
class Layout:
    """Where the pictures of A and of B are.

    Attributes:
        words: what messages call the layout.
        sides: split -> the files of A and of B. Side by side, these are the same files.
        wide: whether A and B are side by side in one picture.
        paired: whether A and B are pairs unless the user says otherwise.
        others: what was passed over, in words.
    """

    words: str
    sides: dict[str, tuple[list[Source], list[Source]]]
    wide: bool
    paired: bool
    others: list[str]


def find_layout(root: Path) -> Layout:
    """Return the layout of a folder.

    Raises:
        UsageError: it has none of them, is no folder, or has no pictures.
    """
    sources, suffixes = find(root)
    others = [counts(suffixes)] if suffixes else []
    found = _two_sides(sources, others) or _side_by_side(sources, others)
    if not found:
        raise UsageError(
            f"{root} has {len(sources):,} pictures, but not in a layout of pairs or of two sets, A and B:{SHOWN}"
        )
    return found


def key_of(name: str) -> str:
    """Return what the names of the two pictures of a pair have in common: the part in A or in B, without the suffix."""
    match = _TWO_SIDES.fullmatch(name)
    return str(PurePosixPath(match[5] if match else name).with_suffix(""))


def _two_sides(sources: Iterable[Source], others: list[str]) -> Layout | None:
    """Return the layout of a folder with A and B in its names, or None. One name for both, such as trainA, is the usual
    one for two sets that are no pairs."""
    sides: dict[str, tuple[list[Source], list[Source]]] = {}
    names: set[str] = set()
    joined, left = False, 0
    for source in sources:
        match = _TWO_SIDES.fullmatch(source.name)
        if not match:
            left += 1
            continue
        before, between, side, after, rest = match.groups()
        joined |= bool(before) and between != "/"
        split = _SPLIT[(before or after or "train").lower()]
        names.add(source.name.removesuffix(f"/{rest}"))
        sides.setdefault(split, ([], []))[side.upper() == "B"].append(source)
    if not sides or not any(one and other for one, other in sides.values()):
        return None
    outside = [f"{left:,} pictures outside of these folders"] if left else []
    return Layout(", ".join(sorted(names)), sides, False, not joined, [*others, *outside])


def _side_by_side(sources: list[Source], others: list[str]) -> Layout | None:
    """Return the layout of a folder in which most pictures are wide, or None."""
    seen = [wide for source in sources[:_TRIED] if (wide := is_wide_file(source.path)) is not None]
    if 2 * sum(seen) <= len(seen):
        return None
    tops = {source.name.partition("/")[0] for source in sources}
    if not all(top.lower() in _SPLIT for top in tops):
        return Layout("side by side", {"train": (sources, sources)}, True, True, others)
    sides: dict[str, tuple[list[Source], list[Source]]] = {}
    for top in sorted(tops):
        part = [source for source in sources if source.name.startswith(f"{top}/")]
        sides[_SPLIT[top.lower()]] = (part, part)
    return Layout("side by side", sides, True, True, others)


def is_wide_file(path: str) -> bool | None:
    """Return whether the picture in a file is wide; None if it cannot be read. Pixels are not decoded."""
    try:
        with opened(path) as file:
            return is_wide_picture(file)
    except (OSError, Broken):  # as in decode(), which says why
        return None


def is_wide_picture(file: BinaryIO) -> bool | None:
    """Return the same for an open file."""
    try:
        with Image.open(file, formats=formats()) as image:
            return is_wide(*upright(image).size)
    except Exception:  # as in decode(), which says why
        return None
