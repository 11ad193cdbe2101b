"""How much two columns of a table have to do with each other, as a number.

Between two columns of numbers, Pearson's correlation, in [-1, 1]. Between numbers and categories, the correlation
ratio, in [0, 1]: the square root of the share of the variance that lies between the categories. Between two columns of
categories, Cramér's V, in [0, 1].
Source: Cramér, "Mathematical Methods of Statistics", 1946, chapter 21
Missing numbers count as the mean of the others.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ganzoo_tables.columns import Column, Number, Values


def associations(columns: Sequence[Column], values: Sequence[Values]) -> Tensor:
    """Return the association of each pair of columns, float64 (k, k), from their values, (n,) each. A column with one
    value has none, 0, with any other."""
    kinds = [isinstance(column, Number) for column in columns]
    given = [_filled(v) if number else torch.from_numpy(v) for v, number in zip(values, kinds, strict=True)]
    matrix = torch.eye(len(columns), dtype=torch.float64)
    for i in range(len(columns)):
        for j in range(i):
            if kinds[i] and kinds[j]:
                found = _correlation(given[i], given[j])
            elif kinds[i]:
                found = _ratio(given[i], given[j])
            elif kinds[j]:
                found = _ratio(given[j], given[i])
            else:
                found = _cramer(given[i], given[j])
            matrix[i, j] = matrix[j, i] = found
    return matrix


def _filled(values: Values) -> Tensor:
    present = np.isfinite(values)
    mean = values[present].mean() if present.any() else 0.0
    centered = np.where(present, values - mean, 0.0)
    return torch.from_numpy(centered / (np.abs(centered).max() or 1.0))


def _correlation(x: Tensor, y: Tensor) -> float:
    size = (x.square().sum() * y.square().sum()).sqrt()
    return (x @ y / size).item() if size > 0 else 0.0


def _ratio(numbers: Tensor, categories: Tensor) -> float:
    total = numbers.square().sum()
    counts = categories.bincount().double()
    sums = torch.zeros_like(counts).index_add_(0, categories, numbers)
    between = (sums.square() / counts.clamp(min=1)).sum()
    return (between / total).clamp(0, 1).sqrt().item() if total > 0 else 0.0


def _cramer(x: Tensor, y: Tensor) -> float:
    rows, columns = int(x.max()) + 1, int(y.max()) + 1
    table = (x * columns + y).bincount(minlength=rows * columns).view(rows, columns).double()
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    least = min(table.shape) - 1
    if least < 1:
        return 0.0
    expected = table.sum(1, keepdim=True) * table.sum(0) / table.sum()
    chi_squared = ((table - expected).square() / expected).sum()
    return (chi_squared / table.sum() / least).clamp(0, 1).sqrt().item()
