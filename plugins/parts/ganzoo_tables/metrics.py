"""Metrics that compare samples of a table with the table: columns, pairs of columns, and copies of rows.

Sources: Kolmogorov-Smirnov and total variation distances of columns, and distances of their correlations: Patki, Wedge,
    Veeramachaneni, "The Synthetic Data Vault", 2016, and its metrics, https://docs.sdv.dev/sdmetrics
Distance to the closest record: Zhao et al., "CTAB-GAN: Effective Table Data Synthesizing", 2021,
    https://arxiv.org/abs/2102.08369
The distance of rows: Gower, "A General Coefficient of Similarity and Some of Its Properties", 1971
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganzoo import Dataset, Metric, Samples, Score
from ganzoo_tables.associations import associations
from ganzoo_tables.columns import Column, Number, Values, decode
from ganzoo_tables.data import TableDataset

_BLOCK = 2**22  # distances that are computed at once
_MOST = 50_000  # training rows that samples are compared with


class OfTables(Metric):
    """A metric for tables. One that needs rows which no model was trained on sets ``unseen``."""

    unseen: ClassVar[bool] = False

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, TableDataset):
            raise ValueError("it is for tables, such as the dataset table")
        if self.unseen and dataset.split == "all":
            raise ValueError("it needs rows that no model was trained on, and data.split = 'all' leaves none")


def table_of(samples: Samples) -> TableDataset:
    """Return the table that samples imitate."""
    assert isinstance(samples.dataset, TableDataset)  # as OfTables.check() made sure
    return samples.dataset


def learned(dataset: TableDataset, rows: Tensor) -> list[tuple[Column, Values]]:
    """Return the columns that are learned, each with its values (n,) in rows (n, units)."""
    pairs = zip(dataset.columns, decode(rows, dataset.columns), strict=True)
    return [(column, values) for column, values in pairs if column.units]


class Marginals(OfTables):
    """How far each column is from the real one, each by itself. All are 0 at best.

    - ``marginals``: the mean over all columns of the two next, in [0, 1]. Its details have the value of each column.
    - ``ks``: for numbers, the largest distance of the distribution functions (Kolmogorov-Smirnov); missing values count
      as smaller than all others.
    - ``tv``: for categories, half the sum of the distances of their shares (total variation).
    - ``wasserstein``: for numbers that are not missing, the mean distance of the quantiles, in standard deviations.
    """

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        dataset, ks, tv, wasserstein = table_of(fake), {}, {}, {}
        for (column, made), (_, true) in zip(learned(dataset, fake.values), learned(dataset, real.values), strict=True):
            if isinstance(column, Number):
                ks[column.name] = _kolmogorov_smirnov(made, true)
                if (distance := _wasserstein(made, true)) is not None:
                    wasserstein[column.name] = distance
            else:
                counts = [np.bincount(v.astype(np.int64), minlength=column.choices) / len(v) for v in (made, true)]
                tv[column.name] = float(np.abs(counts[0] - counts[1]).sum() / 2)
        groups = {"marginals": {**ks, **tv}, "ks": ks, "tv": tv, "wasserstein": wasserstein}
        return {
            name: Score(float(np.mean(list(found.values()))), "lower", {"columns": found})
            for name, found in groups.items()
            if found
        }


class Associations(OfTables):
    """``associations``: the mean absolute difference between the associations of two columns in the samples and in the
    table, over all pairs; 0 at best. Its details name the pair that differs most. See associations.py.
    """

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        made, true = (learned(table_of(fake), samples.values) for samples in (fake, real))
        columns = [column for column, _ in made]
        one, other = (associations(columns, [values for _, values in side]) for side in (made, true))
        difference = (one - other).abs()
        pairs = torch.triu_indices(len(columns), len(columns), offset=1)
        each = difference[pairs[0], pairs[1]]
        worst = pairs[:, each.argmax()].tolist()
        details = {"largest": each.max().item(), "pair": [columns[n].name for n in worst]}
        return {"associations": Score(each.mean().item(), "lower", details)}


class ClosestRecords(OfTables):
    """Whether samples are copies of rows that the model was trained on. Rows of the test split show what is normal. The
    distance of two rows is Gower's: the mean over the columns of |x - y| / range, or of 0 and 1 for categories. At most
    50,000 training rows are compared.

    - ``dcr``: how often a sample is closer to its closest training row than a test row is to its own (a tie counts
      half); 0.5 for new rows of the same kind, 1 for copies. Below 0.5, samples are farther away than real rows are.
      With ``--real``, the rows are training rows, and it is 1.
    - ``identical``: the share of samples that are a training row, value for value. Its details have the share of the
      test rows for comparison.
    """

    unseen = True

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        dataset = table_of(fake)
        train, test = dataset.train_rows[:_MOST], dataset.test_rows[:_MOST]  # they are shuffled
        made, kept = (closest(rows, train, dataset.columns) for rows in (fake.values, test))
        order = kept.sort().values
        below, above = (torch.searchsorted(order, made, right=right).double() for right in (False, True))
        closer = 1 - (below + above).mean().item() / 2 / len(order)
        details = {"median": made.median().item(), "median_of_test_rows": kept.median().item()}
        identical = [(distances == 0).double().mean().item() for distances in (made, kept)]
        return {
            "dcr": Score(closer, "lower", details),
            "identical": Score(identical[0], "lower", {"test_rows": identical[1]}),
        }


def closest(rows: Tensor, others: Tensor, columns: Sequence[Column]) -> Tensor:
    """Return Gower's distance of each row (n, units) to the closest of the others (m, units), float32 (n,)."""
    pairs = [
        (_place(c, v), _place(c, w))
        for c, v, w in zip(columns, decode(rows, columns), decode(others, columns), strict=True)
        if c.units
    ]
    found, block = [], max(1, _BLOCK // len(others))
    for start in range(0, len(rows), block):
        total = torch.zeros(min(block, len(rows) - start), len(others))
        for x, y in pairs:
            distance = x[start : start + block, None] - y
            total += distance.abs() if x.is_floating_point() else (distance != 0).float()
        found.append(total.min(1).values / len(pairs))
    return torch.cat(found)


def _place(column: Column, values: Values) -> Tensor:
    """Return numbers in units of the column's range, a missing one as 2: so it is 1 to 2 from any other; or
    categories."""
    if not isinstance(column, Number):
        return torch.from_numpy(values)
    place = (values - column.low) / ((column.high - column.low) or 1.0)
    return torch.from_numpy(np.where(np.isnan(place), 2.0, place)).float()


def _kolmogorov_smirnov(made: Values, true: Values) -> float:
    made, true = (np.sort(np.where(np.isnan(values), -np.inf, values)) for values in (made, true))
    points = np.concatenate([made, true])
    one, other = (np.searchsorted(values, points, side="right") / len(values) for values in (made, true))
    return float(np.abs(one - other).max())


def _wasserstein(made: Values, true: Values) -> float | None:
    """Return the distance in standard deviations of the true values; None if it has no meaning."""
    made, true = (values[np.isfinite(values)] for values in (made, true))
    if not len(made) or not len(true) or not true.std() > 0:
        return None
    levels = (np.arange(1000) + 0.5) / 1000
    return float(np.abs(np.quantile(made, levels) - np.quantile(true, levels)).mean() / true.std())
