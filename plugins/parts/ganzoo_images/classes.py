"""Classes of pictures: the subfolders they are in, or what a file of labels says.

dataset.json    {"labels": [["00000/img00000000.png", 6], ...]}, as the tools of StyleGAN write it
labels.csv      one line per picture: its file and its class, by name or number; a header may name the columns
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from ganzoo import UsageError, warn

STANDARD = "dataset.json"
_FILE = {"file", "filename", "file_name", "image", "image_id", "img", "name", "path", "picture", "id"}
_CLASS = {"label", "class", "category", "target", "y", "class_name", "label_name"}


def read(path: Path) -> dict[str, str]:
    """Return file -> class, with the files as they are written there.

    Raises:
        UsageError: it cannot be read, or is laid out otherwise.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if path.suffix.lower() == ".json" else _csv_rows(text)
    except OSError as error:
        raise UsageError(f"data.labels: cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, TypeError, LookupError, csv.Error, AttributeError) as error:
        raise UsageError(
            f"data.labels: {path} is no file of labels ({error}). It must be a CSV with the columns file and label, or "
            'JSON as StyleGAN writes it: {"labels": [["picture.png", 0], ...]}.'
        ) from error
    return {_plain(name): label for name, label in rows}


def find(root: Path, given: str | None) -> dict[str, str]:
    """Return file -> class from the file of labels that the user named, in the folder or elsewhere; from
    ``dataset.json`` of the folder; or nothing.

    Raises:
        UsageError: as ``read``.
    """
    if given:
        inside = root / given
        return read(inside if inside.is_file() else Path(given).expanduser())
    try:
        return read(root / STANDARD) if (root / STANDARD).is_file() else {}
    except UsageError:
        warn(f"{root / STANDARD} has no labels and is ignored.")
        return {}


def numbered(labels: Sequence[str], every: Iterable[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Return labels (n,) int64 and the names of the classes 0, 1, ..., in natural order. ``every`` are all classes."""
    class_names = tuple(sorted({*every}, key=lambda name: (_natural(name), name)))
    number = {name: label for label, name in enumerate(class_names)}
    return torch.tensor([number[label] for label in labels], dtype=torch.int64), class_names


def of_subfolders(names: Sequence[str], root: Path, others: Sequence[str]) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return labels (n,) int64 and class names, or None and no names unless all files are in subfolders. ``others`` are
    the names in all splits, which have the same classes."""
    tops = [name.partition("/")[0] for name in names if "/" in name]
    if len(tops) < len(names):
        if tops:
            warn(f"{root} has pictures beside its subfolders: all are used, without classes.")
        return None, ()
    return numbered(tops, {*tops, *(name.partition("/")[0] for name in others if "/" in name)})


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value: class2 before class10."""
    pieces = re.split(r"([0-9]+)", name)
    return [(int(piece), "") if number % 2 else (-1, piece) for number, piece in enumerate(pieces)]


def classes_of(names: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Return picture -> class, for those that have one. Pictures are found by their names, without the suffix, or
    without their folders: whichever finds the most."""
    paths = [PurePosixPath(name) for name in names]
    ways = (names, [str(path.with_suffix("")) for path in paths], [p.name for p in paths], [p.stem for p in paths])
    found = [{name: known[key] for name, key in zip(names, keys, strict=True) if key in known} for keys in ways]
    return max(found, key=len)


def _plain(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")


def _json_rows(text: str) -> list[tuple[str, str]]:
    labels = json.loads(text)["labels"]
    pairs = labels.items() if isinstance(labels, dict) else labels
    rows = [(str(name), str(label)) for name, label in pairs]
    if not rows:
        raise ValueError("it has no labels")
    return rows


def _csv_rows(text: str) -> list[tuple[str, str]]:
    lines = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if not lines or any(len(row) < 2 for row in lines):
        raise ValueError("a line has no second column" if lines else "it is empty")
    head = [cell.strip().lower() for cell in lines[0]]
    file = next((i for i, name in enumerate(head) if name in _FILE), None)
    label = next((i for i, name in enumerate(head) if name in _CLASS), None)
    if file is None and label is None:
        return [(row[0], row[1].strip()) for row in lines]
    file = next(i for i in range(len(head)) if i != label) if file is None else file
    label = next(i for i in range(len(head)) if i != file) if label is None else label
    return [(row[file], row[label].strip()) for row in lines[1:]]
