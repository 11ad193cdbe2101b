"""Rows read from Parquet files where they are, here or on the Hub: nothing is converted, and nothing is kept.

A Parquet file is a list of row groups, and its footer says where each is. A row group is the least that can be read.
So rows have places here too, as long as those that follow each other are mostly of the same groups.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ganzoo import GanzooError, UsageError

TOGETHER = 8
"""Row groups whose rows are shuffled together; a process holds as many in memory."""


class RowGroups:
    """The rows of Parquet files.

    Args:
        files: paths or addresses, such as ``hf://datasets/NAME@REVISION/train.parquet``.

    Attributes:
        features: column -> its type.
        digest: a hash of the lengths of all row groups.

    Raises:
        UsageError: a file cannot be read, or has other columns than the first.
    """

    def __init__(self, files: Sequence[str]) -> None:
        from datasets import Features
        from pyarrow.parquet import ParquetFile

        self._files, self._groups, lengths = list(files), list[tuple[int, int]](), []
        self.features: Mapping[str, Any] = {}
        for number, name in enumerate(files):
            try:
                with _opened(name) as stream, ParquetFile(stream) as file:
                    features, footer = Features.from_arrow_schema(file.schema_arrow), file.metadata
            except Exception as error:  # the readers of files and of addresses raise almost anything
                raise UsageError(f"{name} cannot be read as Parquet: {' '.join(str(error).split())}.") from error
            self.features = self.features or features
            if features != self.features:
                raise UsageError(f"{name} has other columns than {files[0]}: {list(features)}, {list(self.features)}.")
            for group in range(footer.num_row_groups):
                if footer.row_group(group).num_rows:
                    self._groups.append((number, group))
                    lengths.append((footer.row_group(group).num_rows, footer.row_group(group).total_byte_size))
        self._ends = list(accumulate(rows for rows, _ in lengths))
        self.digest = hashlib.sha256(json.dumps(lengths).encode()).hexdigest()
        self._held: dict[int, list[Any]] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def column(self, name: str) -> list[Any]:
        """Return all values of a column."""
        from pyarrow.parquet import ParquetFile

        values: list[Any] = []
        for place in self._files:
            with _opened(place) as stream, ParquetFile(stream) as file:
                values += file.read(columns=[name]).column(name).to_pylist()
        return values

    def value(self, index: int, column: str) -> Any:
        """Return the value of a row in a column, always the same column. The last ``TOGETHER`` row groups are held."""
        group = bisect_right(self._ends, index)
        if group not in self._held:
            while len(self._held) >= TOGETHER:
                self._held.pop(next(iter(self._held)))
            self._held[group] = self._read(group, column)
        rows = self._held[group]
        return rows[index - self._ends[group] + len(rows)].as_py()

    def order(self, rng: torch.Generator) -> Tensor:
        """Return an order of all rows, int64 (n,): the row groups in a random order, and the rows of each ``TOGETHER``
        of them shuffled."""
        starts, groups = [0, *self._ends[:-1]], torch.randperm(len(self._ends), generator=rng).tolist()
        parts = []
        for first in range(0, len(groups), TOGETHER):
            rows = [torch.arange(starts[g], self._ends[g]) for g in groups[first : first + TOGETHER]]
            joined = torch.cat(rows)
            parts.append(joined[torch.randperm(len(joined), generator=rng)])
        return torch.cat(parts)

    def __getstate__(self) -> Mapping[str, object]:
        return {**vars(self), "_held": {}}

    def _read(self, group: int, column: str) -> Any:
        from pyarrow.parquet import ParquetFile

        number, inside = self._groups[group]
        try:
            with _opened(self._files[number]) as stream, ParquetFile(stream) as file:
                return file.read_row_group(inside, columns=[column]).column(column)
        except Exception as error:  # as above
            text = " ".join(str(error).split())
            raise GanzooError(f"{self._files[number]} cannot be read any more: {text}. Resume when it can.") from error


def _opened(name: str) -> Any:
    import fsspec

    return fsspec.open(name, "rb").open() if "://" in name else open(name, "rb")  # noqa: PTH123
