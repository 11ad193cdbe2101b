"""Columns: what is in a column of a table, and how its values become numbers for networks and text again.

A row is the columns side by side, float32 (units,). A number or a date is its place in its mode, in [-1, 1], and its
mode, one-hot; a missing one has a mode of its own. A category is one-hot. A column with only one value has no units.
Columns are saved as the ``meta`` of the field, so that samples can be decoded without the table.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganzoo import Field

EPOCH = datetime(1970, 1, 1)
BINS = 20
"""Bins of the histogram of a number."""


@dataclass(frozen=True)
class Number:
    """A column of numbers, or of dates: days since 1970, or seconds if they have a time.

    Attributes:
        name: of the column.
        means, scales: of its modes; see modes.py.
        missing: whether values may be missing. If so, the last mode is that of missing values.
        low, high: the range of the values.
        shown: the range of the histogram: from the 1st to the 99th percentile.
        histogram: the share of the values in each of ``BINS`` equal parts of ``shown``; the outer parts have the rest.
        decimals: digits after the point; None for numbers that are written with an exponent.
        fixed: whether all values have that many digits.
        comma: whether a comma is the decimal point.
        format: of a date, as for ``strftime``; empty for a number.
    """

    name: str
    means: list[float]
    scales: list[float]
    missing: bool
    low: float
    high: float
    shown: list[float]
    histogram: list[float]
    decimals: int | None = 0
    fixed: bool = True
    comma: bool = False
    format: str = ""
    kind: ClassVar[str] = "number"

    @property
    def choices(self) -> int:
        """The number of modes."""
        return len(self.means) + self.missing

    @property
    def units(self) -> int:
        """The numbers in a row that it takes."""
        return 1 + self.choices

    def decode(self, part: Tensor) -> NDArray[np.float64]:
        """Return the values (n,) of its units (n, units), rounded as they are written; NaN is missing."""
        values = part.double().numpy()
        mode = values[:, 1:].argmax(1)
        means, scales = np.array([*self.means, np.nan]), np.array([*self.scales, np.nan])
        found = (means[mode] + values[:, 0].clip(-1, 1) * scales[mode]).clip(self.low, self.high)
        rounded: NDArray[np.float64] = found if self.decimals is None else found.round(self.decimals) + 0.0  # no -0
        return rounded

    def text(self, value: float) -> str:
        """Return a value as it is written."""
        if np.isnan(value):
            return ""
        if self.format:
            days = "%H" not in self.format
            date = EPOCH + (timedelta(days=round(value)) if days else timedelta(seconds=round(value)))
            return date.strftime(self.format)
        text = f"{value:.9g}" if self.decimals is None else f"{value:.{self.decimals}f}"
        if self.decimals and not self.fixed:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", ",") if self.comma else text


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Attributes:
        name: of the column.
        categories: their texts; the empty text stands for a missing value.
        shares: how often each occurs.
    """

    name: str
    categories: list[str]
    shares: list[float]
    kind: ClassVar[str] = "category"

    @property
    def choices(self) -> int:
        """The number of categories."""
        return len(self.categories)

    units = choices

    def decode(self, part: Tensor) -> NDArray[np.int64]:
        """Return the category of each row, (n,), from its units (n, units)."""
        found: NDArray[np.int64] = part.argmax(1).numpy()
        return found

    def text(self, value: int) -> str:
        """Return the text of a category."""
        return self.categories[value]


@dataclass(frozen=True)
class Constant:
    """A column in which every value is the same. It takes no units."""

    name: str
    value: str
    kind: ClassVar[str] = "constant"
    choices: ClassVar[int] = 0
    units: ClassVar[int] = 0

    def decode(self, part: Tensor) -> NDArray[np.int64]:
        """Return a zero for each row, (n,)."""
        return np.zeros(len(part), np.int64)

    def text(self, value: int) -> str:
        """Return the value."""
        return self.value


Column = Number | Category | Constant
Values = NDArray[np.float64] | NDArray[np.int64]
_KINDS: Mapping[str, type[Column]] = {cls.kind: cls for cls in (Number, Category, Constant)}


def histogram(values: NDArray[np.float64], shown: Sequence[float]) -> NDArray[np.float64]:
    """Return the share of values (n,) in each of ``BINS`` equal parts of the range ``shown``; NaN is in none."""
    low, high = shown[0], shown[1] if shown[1] > shown[0] else shown[0] + 1
    counts = np.histogram(values[np.isfinite(values)].clip(low, high), BINS, (low, high))[0]
    shares: NDArray[np.float64] = counts / max(1, len(values))
    return shares


def meta_of(columns: Sequence[Column], delimiter: str) -> dict[str, Any]:
    """Return the ``meta`` of a field whose samples are rows with these columns."""
    return {"columns": [{"kind": column.kind, **asdict(column)} for column in columns], "delimiter": delimiter}


def columns_of(field: Field) -> list[Column]:
    """Return the columns of a field.

    Raises:
        ValueError: it is not that of a table.
    """
    try:
        plain = [dict(column) for column in field.meta["columns"]]
        return [_KINDS[column.pop("kind")](**column) for column in plain]
    except (KeyError, TypeError) as error:
        raise ValueError("it needs a table: a dataset of rows, such as table") from error


def parts_of(rows: Tensor, columns: Sequence[Column]) -> Iterator[tuple[Column, Tensor]]:
    """Yield each column with its units (n, units) of rows (n, all units)."""
    yield from zip(columns, rows.split([column.units for column in columns], 1), strict=True)


def decode(rows: Tensor, columns: Sequence[Column]) -> list[Values]:
    """Return the values of each column: numbers, float64 (n,), NaN if missing; or categories, int64 (n,)."""
    return [column.decode(part) for column, part in parts_of(rows.cpu(), columns)]


def one_hot(index: NDArray[np.int64], classes: int) -> Tensor:
    """Return integers (n,) as float32 (n, classes)."""
    return torch.nn.functional.one_hot(torch.from_numpy(index), classes).float()


def to_csv(rows: Tensor, columns: Sequence[Column], delimiter: str) -> str:
    """Return rows (n, units) as the text of a CSV file, with a line of names."""
    writer = csv.writer(file := io.StringIO(), delimiter=delimiter, lineterminator="\n")
    writer.writerow(column.name for column in columns)
    pairs = zip(columns, decode(rows, columns), strict=True)
    texts = [[column.text(value) for value in values] for column, values in pairs]
    writer.writerows(zip(*texts, strict=True))
    return file.getvalue()
