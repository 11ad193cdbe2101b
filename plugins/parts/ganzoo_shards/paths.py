"""Which files are the shards: one .tar, a folder of them, or names in braces, such as ``train-{000..099}.tar``."""

import re
from collections.abc import Iterator
from pathlib import Path

from ganzoo import UsageError
from ganzoo.errors import nearest

_BRACES = re.compile(r"\{([^{}]*)\}")
_MOST = 1_000_000  # files
_NAMED = 5  # missing files that are named


def find(text: str) -> list[Path]:
    """Return the shards that a path names, in their order.

    Raises:
        UsageError: there are none, some are missing, or the braces are not understood.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        return _of_folder(path)
    plain = path.exists() or "{" not in text
    paths = [path] if plain else [Path(name).expanduser() for name in _expanded(text)]
    missing = [one for one in paths if not one.is_file()]
    if not missing:
        return paths
    if len(paths) == 1:
        raise UsageError(f"data.path: there is no file {path.absolute()}. {_hint(path)}".rstrip())
    named = ", ".join(one.name for one in missing[:_NAMED]) + ", ..." * (len(missing) > _NAMED)
    raise UsageError(
        f"data.path = {text!r}: {len(missing):,} of {len(paths):,} shards are missing: {named}. Add them, or "
        "change the numbers in the braces."
    )


def _of_folder(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*.tar") if not path.name.startswith(".") and path.is_file())
    if not found:
        inside = sorted({path.parent.name for path in folder.glob("*/*.tar")})
        more = f" There are some in its subfolders: {', '.join(inside[:_NAMED])}." if inside else ""
        raise UsageError(f"data.path: the folder {folder.absolute()} has no .tar files.{more}")
    return found


def _hint(path: Path) -> str:
    siblings = [one.name for one in path.parent.glob("*.tar")] if path.parent.is_dir() else []
    return nearest(path.name, siblings) if siblings else ""


def _expanded(text: str) -> list[str]:
    """Return the names that a text with braces stands for, as a shell would: ``{8..10}``, ``{08..10}``, ``{a,b}``.

    Raises:
        UsageError: the braces hold something else, are nested, or stand for too many names.
    """
    names = [""]
    after = 0
    for match in _BRACES.finditer(text):
        words = list(_words(match[1], text))
        if len(names) * len(words) > _MOST:
            raise UsageError(f"data.path = {text!r} stands for more than {_MOST:,} files.")
        names = [name + text[after : match.start()] + word for name in names for word in words]
        after = match.end()
    names = [name + text[after:] for name in names]
    if any({"{", "}"} & set(name) for name in names):
        raise UsageError(f"data.path = {text!r}: braces must be in pairs, and not within each other.")
    return names


def _words(inside: str, text: str) -> Iterator[str]:
    span = re.fullmatch(r"([0-9]+)\.\.([0-9]+)", inside)
    if span:
        first, last = map(int, span.groups())
        padded = any(number.startswith("0") and len(number) > 1 for number in span.groups())
        width = max(map(len, span.groups())) if padded else 0
        if abs(last - first) >= _MOST:
            raise UsageError(f"data.path = {text!r} stands for more than {_MOST:,} files.")
        step = 1 if first <= last else -1
        return (f"{number:0{width}}" for number in range(first, last + step, step))
    if "," not in inside:
        raise UsageError(f"data.path = {text!r}: {{{inside}}} must be {{000..099}} or {{one,two}}.")
    return iter(inside.split(","))
