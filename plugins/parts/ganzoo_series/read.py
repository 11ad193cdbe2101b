"""Reading series: arrays (n, T, F) of n series with T steps and F features, from NumPy files, folders and CSV files."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo import UsageError
from ganzoo.errors import nearest

Floats = NDArray[np.float64]
SUFFIXES = (".npy", ".npz", ".csv", ".tsv")


@dataclass(frozen=True)
class Found:
    """Series as they were read.

    Attributes:
        values: (n, T, F).
        features: the names of the F features.
    """

    values: Floats
    features: tuple[str, ...]


def read(path: str, *, length: int | None = None, stride: int = 1, id: str | None = None) -> Found:  # noqa: A002
    """Return the series in a file or a folder.

    Args:
        path: an .npy or .npz file with an array (n, T, F) or (n, T); a folder of .npy files with one series (T, F) or
            (T,) each; or a CSV file.
        length: cut each series into windows of this length. A CSV file without ``id``, or an array (T, F), is then one
            long series.
        stride: steps from the start of a window to that of the next.
        id: the column of a CSV file that says which series a row belongs to; its rows are in the order of time.

    Raises:
        UsageError: there are no series of one length, or some values are not finite numbers.
    """
    where = Path(path).expanduser()
    try:
        if id is not None and where.suffix.lower() not in (".csv", ".tsv"):
            raise UsageError(f"data.id names a column of a CSV file, and {where.name} is none. Leave it out.")
        names, series = _series(where, length, id)
    except (OSError, EOFError) as error:
        number = getattr(error, "errno", None)
        raise UsageError(f"data.path = {path!r}: {os.strerror(number) if number else error}.") from error
    if length is not None:
        series = [part for one in series for part in _windows(one, length, stride)]
        if not series:
            raise UsageError(f"{where.name} has no series of data.length = {length} steps or more.")
    shapes = sorted({one.shape for one in series})
    if len(shapes) > 1:
        few, many = shapes[0], shapes[-1]
        raise UsageError(
            f"The series in {where.name} have different shapes (steps, features): {few} and {many}. Cut them into "
            "windows of one length with data.length."
        )
    if not series or 0 in shapes[0]:
        raise UsageError(f"{where.name} is empty: it has no series.")
    values = np.stack(series)  # (n, T, F)
    features = names or tuple(f"feature-{n + 1}" for n in range(values.shape[2]))
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        n, t, f = bad[0]
        raise UsageError(
            f"{where.name} has missing or infinite values: {len(bad):,}; the first is in series {n}, step {t}, "
            f"{features[f]!r}. Fill them, or remove these series."
        )
    if values.shape[1] < 2:
        raise UsageError(f"The series in {where.name} have one step each. Set data.id or data.length.")
    return Found(values, features)


def _series(where: Path, length: int | None, id: str | None) -> tuple[tuple[str, ...], list[Floats]]:  # noqa: A002
    """Return the names of the features, if they have any, and one array (T, F) per series."""
    if where.is_dir():
        files = sorted(path for path in where.iterdir() if path.suffix.lower() == ".npy")
        if not files:
            raise UsageError(f"The folder {where} has no .npy files, one per series.")
        return (), [_one(_array(path), path.name) for path in files]
    if where.suffix.lower() in (".csv", ".tsv"):
        return _from_csv(where, length, id)
    array = _array(where)
    if array.ndim == 3:
        return (), list(array)
    if array.ndim == 2:
        return (), [array] if length is not None else list(array[:, :, None])
    if array.ndim == 1 and length is not None:
        return (), [array[:, None]]
    raise UsageError(
        f"{where.name} has an array of the shape {array.shape}. Series are (n, steps, features) or (n, steps); one "
        "long series (steps, features) is cut into windows with data.length."
    )


def _array(path: Path) -> Floats:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            with found:
                if len(found.files) != 1:
                    raise UsageError(f"{path.name} has {len(found.files)} arrays; series are one array.")
                found = found[found.files[0]]
        array: Floats = np.asarray(found).astype(np.float64, casting="same_kind" if found.dtype.kind == "f" else "safe")
    except (ValueError, TypeError, EOFError) as error:
        raise UsageError(f"{path.name} is not an array of numbers: {' '.join(str(error).split())[:100]}") from error
    return array


def _one(array: Floats, title: str) -> Floats:
    if array.ndim not in (1, 2):
        raise UsageError(
            f"{title} has an array of the shape {array.shape}; in a folder, each file is (steps, features)."
        )
    return array[:, None] if array.ndim == 1 else array


def _from_csv(where: Path, length: int | None, id: str | None) -> tuple[tuple[str, ...], list[Floats]]:  # noqa: A002
    """Return the series of a CSV file: in the long form (``id``), one long series (``length``), or one per row."""
    try:
        text = where.read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(text.splitlines(), delimiter="\t" if where.suffix == ".tsv" else ",") if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{where.name} is not a CSV file in UTF-8: {error}.") from error
    if len(rows) < 2:
        raise UsageError(f"{where.name} has no rows below its line of names.")
    names, *rows = rows
    if ragged := [n for n, row in enumerate(rows, 2) if len(row) != len(names)]:
        raise UsageError(f"{where.name}, row {ragged[0]} does not have {len(names)} values, as the first line has.")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    if id is not None and id not in columns:
        raise UsageError(f"data.id: there is no column {id!r}. {nearest(id, names)}")
    keys = columns.pop(id) if id is not None else ()
    if wrong := [name for name, texts in columns.items() if not all(map(_is_number, texts))]:
        raise UsageError(
            f"{where.name}: the column {wrong[0]!r} has values that are not numbers. Remove the column"
            f"{', or name it in data.id if it says which series a row belongs to' if id is None else ''}."
        )
    values = np.array([[float(text) for text in texts] for texts in columns.values()]).T  # (rows, columns)
    if id is not None:
        order: dict[str, list[int]] = {}
        for n, key in enumerate(keys):
            order.setdefault(key, []).append(n)
        return tuple(columns), [values[rows_of] for rows_of in order.values()]
    if length is not None:
        return tuple(columns), [values]
    return (), list(values[:, :, None])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _windows(one: Floats, length: int, stride: int) -> list[Floats]:
    return [one[start : start + length] for start in range(0, len(one) - length + 1, stride)]
