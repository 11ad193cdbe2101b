"""The classes of all shards together: their numbers and names."""

from collections.abc import Sequence
from pathlib import Path

import torch
from ganzoo_images.classes import numbered
from torch import Tensor

from ganzoo import UsageError, warn
from ganzoo_shards.index import Index

NAMES = "classnames.txt"
"""A file of this name beside the shards has the names of the classes 0, 1, ..., one per line."""


def joined(indexes: Sequence[Index], names: Sequence[str]) -> tuple[list[Tensor], Tensor | None, tuple[str, ...]]:
    """Return the places of the pictures of each shard, int64 (n, 2); the labels of all, int64 (n,); and the names of
    the classes. Without classes there are no labels. If only some pictures have one, the others are left out.

    Args:
        indexes: of the shards.
        names: of the classes 0, 1, ...; if there are none, classes are called as in the shards, and numbered in the
            natural order of that.

    Raises:
        UsageError: a class is not a number of one of the names.
    """
    written = {text for index in indexes for text in index.classes}
    if not written:
        return [index.places for index in indexes], None, ()
    class_names = tuple(names) or numbered([], written)[1]
    number = {name: label for label, name in enumerate(class_names)}
    if names:
        number = {text: int(text) for text in written if text.isascii() and text.isdecimal()}
        if wrong := sorted(text for text in written if number.get(text, len(names)) >= len(names)):
            raise UsageError(
                f"data.class_names: the file has {len(names)} names, for the classes 0 to {len(names) - 1}, but the "
                f"shards have a class {wrong[0]!r}."
            )
    places, labels = [], []
    for index in indexes:
        table = torch.tensor([number[text] for text in index.classes], dtype=torch.int64)
        labeled = index.labels >= 0
        places.append(index.places[labeled])
        labels.append(table[index.labels[labeled]])
    if left := sum(len(index.labels) for index in indexes) - sum(map(len, labels)):
        warn(f"Pictures in the shards without a class are left out: {left:,}.")
    return places, torch.cat(labels), class_names


def names_of(given: str | None, folder: Path) -> list[str]:
    """Return the names of classes in the file that the user named, or in ``NAMES`` in the folder; none without it.

    Raises:
        UsageError: the file cannot be read, or a name occurs twice.
    """
    path = Path(given).expanduser() if given else folder / NAMES
    if not given and not path.is_file():
        return []
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"data.class_names: cannot read {path}: {getattr(error, 'strerror', None) or error}."
        ) from error
    while found and not found[-1]:
        found.pop()
    if len({*found}) < len(found) or not all(found):
        raise UsageError(f"data.class_names: {path} must have one name per line, each of them once.")
    return found
