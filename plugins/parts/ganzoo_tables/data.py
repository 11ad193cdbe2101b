"""Tables as datasets: a CSV file of your own, and one that comes with plotly.

A row is described in columns.py. ``label`` is a condition for models that take one, as in CTGAN: one category of one
column, which is true of the row.

Paper: Xu et al., "Modeling Tabular data using Conditional GAN", 2019, https://arxiv.org/abs/1907.00503, section 4.3
    training by sampling: a column of categories is drawn, all alike; then a category, with a probability proportional
    to the logarithm of its frequency; then a row that has it
Here the order of the rows and the label of a row are drawn in turn, from the same joint distribution: a row with the
weight sum over the columns of P(its category) / (rows of that category), then a column in proportion to its term.
"""

import gzip
import sys
from collections import Counter
from collections.abc import Collection
from importlib.resources import files
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Batch, Field, Option, TensorDataset, UsageError
from ganzoo.errors import nearest
from ganzoo_tables import pictures
from ganzoo_tables.columns import Category, Column, Constant, columns_of, meta_of, parts_of, to_csv
from ganzoo_tables.detect import Found, Rules, find
from ganzoo_tables.text import Text, parse, read

SEED = 2019
"""Seed of the choice of test rows, which is a part of the dataset's definition."""
FEWEST = 10
"""Rows that a table must have."""
ANY = "any row"
"""The only label of a table without categories."""
_WORDS = {"number": "numbers", "date": "dates", "category": "categories", "constant": "always the same"}
_NAMED = 8  # columns that a message names

Split = Annotated[Literal["train", "test", "all"], Option("Rows: all but a random tenth, that tenth, or all")]
Columns = Annotated[tuple[str, ...], Option("Columns to learn; [] for all")]
Categorical = Annotated[tuple[str, ...], Option("Columns of numbers or dates that are categories")]
Target = Annotated[str | None, Option("Column that the metric tstr predicts from the others; the last by default")]
MaxModes = Annotated[int, Option("Modes of a column of numbers, at most", ge=1, le=100)]


class TableDataset(TensorDataset):
    """A table: ``row`` (units,), float32; see columns.py. ``label`` is a category of a column, such as ``city=Bern``.

    Attributes:
        columns: what is in a row.
        split: which rows these are.
        target_column: the column that is predicted from the others, to measure how useful samples are.
        train_rows, test_rows: the rows for training, and a random tenth that is kept for metrics, (n, units) each.
    """

    metrics = ("marginals", "associations", "tstr", "dcr")
    formats = (".csv",)

    def __init__(self, text: Text, rules: Rules, split: str, target: str | None) -> None:
        found = {name: find(name, values, rules) for name, values in zip(text.names, text.columns, strict=True)}
        rows, self.columns = _joined(text, found)
        generator = torch.Generator().manual_seed(SEED)
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        held = max(1, len(rows) // 10)
        self.split = split
        self.test_rows, self.train_rows = shuffled[:held], shuffled[held:]
        chosen = {"train": self.train_rows, "test": self.test_rows, "all": shuffled}[split]
        super().__init__({"row": chosen}, meta={"row": meta_of(self.columns, text.delimiter)})
        names = [f"{c.name}={text or '(missing)'}" for c in categories(self.columns) for text in c.categories] or [ANY]
        self.fields = {**self.fields, "label": Field((), torch.int64, len(names), tuple(names))}
        learned = [column.name for column in self.columns if column.units]
        self.target_column = learned[-1] if target is None else _known("data.target", target, learned)
        self._weights = _weights(chosen, self.columns)

    def order(self, epoch: int, rng: torch.Generator, fields: Collection[str]) -> Tensor:
        """Return the order of the rows. For models that read ``label``, rows with rare categories are repeated."""
        if "label" not in fields:
            return super().order(epoch, rng, fields)
        weights = _of_rows(self._tensors["row"], self.columns, self._weights).sum(1)
        return torch.multinomial(weights, len(self), replacement=True, generator=rng)

    def prepare(self, stored: Batch) -> Batch:
        """Return the rows with a random ``label`` each."""
        row = stored["row"]
        return {"row": row, "label": _labels(row, self.columns, self._weights.to(row.device))}

    @classmethod
    def pictures(cls, sample: Tensor, field: Field) -> Tensor:
        return pictures.draw(sample, columns_of(field))

    @classmethod
    def encode(cls, sample: Tensor, field: Field, format: str) -> bytes:  # noqa: A002
        return to_csv(sample, columns_of(field), field.meta["delimiter"]).encode()


class Table(TableDataset):
    """A CSV file: numbers, dates and categories are found out, and what cannot be learned is left out."""

    opens = (".csv", ".tsv")
    location_options = ("path",)

    def __init__(
        self,
        *,
        path: Annotated[str, Option("The CSV file")],
        columns: Columns = (),
        drop: Annotated[tuple[str, ...], Option("Columns to leave out")] = (),
        categorical: Categorical = (),
        max_categories: Annotated[int, Option("Categories of a column; with more it is left out", ge=2)] = 100,
        max_modes: MaxModes = 10,
        missing: Annotated[tuple[str, ...], Option("More texts that stand for missing values, such as unknown")] = (),
        target: Target = None,
        split: Split = "train",
        delimiter: Annotated[
            str | None, Option("Character between two values; found out by default", min_length=1, max_length=1)
        ] = None,
        encoding: Annotated[str | None, Option("Encoding of the text; found out by default")] = None,
        header: Annotated[bool, Option("Whether the first line names the columns")] = True,
    ) -> None:
        text = _chosen(read(path, delimiter=delimiter, encoding=encoding, header=header), columns, drop)
        for name in categorical:
            _known("data.categorical", name, text.names)
        super().__init__(
            text, Rules(categorical, max_categories, max_modes, missing, thousands=text.delimiter == ","), split, target
        )


class Gapminder(TableDataset):
    """1,704 rows: continent, year, life expectancy, population and income of 142 countries, every fifth year from 1952
    to 2007. From gapminder.org (CC BY 4.0), in the excerpt by Jennifer Bryan; it comes with plotly.
    """

    def __init__(
        self,
        *,
        columns: Columns = ("continent", "year", "pop", "gdpPercap", "lifeExp"),
        categorical: Categorical = ("year",),
        max_modes: MaxModes = 10,
        target: Target = "lifeExp",
        split: Split = "train",
    ) -> None:
        packed = files("plotly").joinpath("package_data/datasets/gapminder.csv.gz").read_bytes()
        text = _chosen(parse(gzip.decompress(packed).decode(), "gapminder"), columns, ())
        super().__init__(text, Rules(categorical, max_categories=200, max_modes=max_modes), split, target)


def categories(columns: Collection[Column]) -> list[Category]:
    """Return the columns of categories."""
    return [column for column in columns if isinstance(column, Category)]


def _chosen(text: Text, columns: Collection[str], drop: Collection[str]) -> Text:
    for option, names in (("columns", columns), ("drop", drop)):
        for name in names:
            _known(f"data.{option}", name, text.names)
    kept = [name for name in text.names if (not columns or name in columns) and name not in drop]
    if not kept:
        raise UsageError(f"{text.title} has no columns left to learn: see data.columns and data.drop.")
    return Text(text.title, kept, [text.columns[text.names.index(name)] for name in kept], text.delimiter)


def _known(option: str, name: str, known: Collection[str]) -> str:
    if name not in known:
        raise UsageError(f"{option}: there is no column {name!r} to use. {nearest(name, known)}")
    return name


def _joined(text: Text, found: dict[str, Found]) -> tuple[Tensor, list[Column]]:
    """Return the rows (n, units) and their columns, and say what was found.

    Raises:
        UsageError: there are too few rows, or fewer than two columns that can be learned.
    """
    n, used = len(text.columns[0]), [f for f in found.values() if f.column]
    columns = [f.column for f in used if f.column]
    if n < FEWEST:
        raise UsageError(f"{text.title} has {n} row{'s'[: n != 1]}; a table needs {FEWEST} or more.")
    left_out = [f"{name!r} ({f.reason})" for name, f in found.items() if not f.column]
    constant = [f"{c.name!r} ({c.value!r:.40})" for c in columns if isinstance(c, Constant)]
    if sum(column.units > 0 for column in columns) < 2:
        why = _listed([*left_out, *(f"{name} has one value" for name in constant)])
        raise UsageError(
            f"{text.title} has fewer than two columns that can be learned.{f' Left out: {why}.' if why else ''}"
        )
    kinds = Counter("date" if getattr(c, "format", "") else c.kind for c in columns)
    counts = [f"{word} {kinds[kind]}" for kind, word in _WORDS.items() if kinds[kind]]
    counts += [f"left out {len(left_out)}"] if left_out else []
    lines = [f"{text.title}: {n:,} rows. Columns: {', '.join(counts)}"]
    unusable = sum(f.unusable for f in used)
    for what, names in (
        ("left out", left_out),
        ("always the same", constant),
        ("missing values", [f"{f.missing:,} in {f.column.name!r}" for f in used if f.column and f.missing]),
        ("infinite, or beyond 1e100, and so missing", [f"{unusable:,} numbers"] if unusable else []),
    ):
        lines += [f"  {what}: {_listed(names)}"] if names else []
    if sys.stderr is not None:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    return torch.cat([f.units for f in used], 1), columns


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)


def _weights(rows: Tensor, columns: Collection[Column]) -> Tensor:
    """Return, for each category of each column, the probability that training by sampling draws a given row that has
    it for this category; (labels,), 0 for a category without rows."""
    found = []
    for column, part in parts_of(rows, list(columns)):
        if isinstance(column, Category):
            counts = part.sum(0)  # (categories,)
            log = (counts + 1).log() * (counts > 0)  # log of the frequency, and above 0 for one row
            found.append(log / log.sum() / counts.clamp(min=1))
    return torch.cat(found) / len(found) if found else torch.ones(1)


def _of_rows(rows: Tensor, columns: Collection[Column], weights: Tensor) -> Tensor:
    """Return the weights (n, columns of categories) of the categories of rows (n, units)."""
    index = _categories(rows, columns)  # (n, c)
    return weights[index] if index.shape[1] else weights.expand(len(rows), 1)


def _categories(rows: Tensor, columns: Collection[Column]) -> Tensor:
    """Return the label of each category of rows (n, units), int64 (n, columns of categories)."""
    found, start = [], 0
    for column, part in parts_of(rows, list(columns)):
        if isinstance(column, Category):
            found.append(part.argmax(1) + start)
            start += column.choices
    return torch.stack(found, 1) if found else torch.empty(len(rows), 0, dtype=torch.int64, device=rows.device)


def _labels(rows: Tensor, columns: Collection[Column], weights: Tensor) -> Tensor:
    """Draw a label for each row: one of its categories, in proportion to the weights. Uses the global generator."""
    index = _categories(rows, columns)
    if not index.shape[1]:
        return torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    column = torch.multinomial(weights[index].clamp(min=1e-12), 1)  # (n, 1)
    return index.gather(1, column)[:, 0]
