"""Whether samples of a table are as useful as the table: train on samples, test on real rows.

Paper: Esteban, Hyland, Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs", 2017,
    https://arxiv.org/abs/1706.02633, section 4.2: train on synthetic, test on real (TSTR)
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from ganzoo import Option, Samples, Score, UsageError
from ganzoo.errors import nearest
from ganzoo.randomness import preserved, seed_global
from ganzoo_tables.columns import Column, Number, Values, one_hot
from ganzoo_tables.metrics import OfTables, learned, table_of

Pairs = list[tuple[Column, Values]]
Floats = NDArray[np.float64]


class TSTR(OfTables):
    """A small network learns to predict one column, the target, from the others. It is trained on samples and tested on
    the rows of the test split, which no model was trained on.

    - ``tstr``: the accuracy if the target is categories; if it is numbers, the share of their variance that is
      explained (R squared; it may be below 0). 1 at best.
    - ``trtr``: the same if it is trained on as many rows of the training split: what ``tstr`` could reach.
    """

    unseen = True

    def __init__(
        self,
        *,
        target: Annotated[str | None, Option("Column to predict; that of the dataset by default")] = None,
        width: Annotated[int, Option("Hidden units of the network", ge=1)] = 64,
        steps: Annotated[int, Option("Training steps, on all rows each", ge=1)] = 300,
    ) -> None:
        self.target, self.width, self.steps = target, width, steps

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        dataset = table_of(fake)
        test, target = learned(dataset, dataset.test_rows), self.target or dataset.target_column
        names = [column.name for column, _ in test]
        if target not in names:
            raise UsageError(f"tstr.target: there is no column {target!r}. {nearest(target, names)}")
        at = names.index(target)
        ranks = [np.sort(values.astype(np.float64)) for _, values in learned(dataset, dataset.train_rows)]
        # With data.split = "test", the real rows are those of the test.
        train = real.values if dataset.split == "train" else dataset.train_rows[: len(fake.values)]
        reached = [self._reached(learned(dataset, rows), test, ranks, at, fake.seed) for rows in (fake.values, train)]
        details = {"target": target, "measure": "r2" if isinstance(test[at][0], Number) else "accuracy"}
        return {name: Score(value, "higher", details) for name, value in zip(("tstr", "trtr"), reached, strict=True)}

    def _reached(self, train: Pairs, test: Pairs, ranks: list[Floats], at: int, seed: int) -> float:
        """Return how well the column ``at`` of test rows is predicted after training on others. ``ranks`` are the
        sorted values of each column in the table."""
        column = train[at][0]
        train, test = (_with_target(pairs, at) for pairs in (train, test))
        inputs, checked = (_inputs(pairs, ranks, at) for pairs in (train, test))
        outputs, truth = (torch.from_numpy(pairs[at][1]) for pairs in (train, test))
        if len(outputs) < 2 or not len(truth):
            raise UsageError(f"almost all values of {column.name!r} are missing: choose another tstr.target")
        if not isinstance(column, Number):
            predicted = self._fitted(inputs, outputs, column.choices, seed)(checked).argmax(1)
            return float((predicted == truth).double().mean())
        mean, deviation = outputs.mean(), outputs.std().clamp(min=1e-12)
        scaled = ((outputs - mean) / deviation).float()[:, None]
        predicted = self._fitted(inputs, scaled, 1, seed)(checked)[:, 0].double() * deviation + mean
        variance = (truth - truth.mean()).square().mean().clamp(min=1e-24)
        return 1 - float((predicted - truth).square().mean() / variance)

    def _fitted(self, inputs: Tensor, outputs: Tensor, size: int, seed: int) -> nn.Module:
        with preserved():
            seed_global(seed)
            network = nn.Sequential(nn.Linear(inputs.shape[1], self.width), nn.ReLU(), nn.Linear(self.width, size))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=1e-4)
        for _ in range(self.steps):
            found = network(inputs)
            loss = mse_loss(found, outputs) if outputs.is_floating_point() else cross_entropy(found, outputs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return network.requires_grad_(False)


def _with_target(pairs: Pairs, at: int) -> Pairs:
    """Return the rows whose target is not missing."""
    there = ~np.isnan(pairs[at][1].astype(np.float64))
    return [(column, values[there]) for column, values in pairs]


def _inputs(pairs: Pairs, ranks: list[Floats], target: int) -> Tensor:
    """Return the columns but one as inputs of a network, float32 (n, inputs): a number as its rank in the table, in
    [-1, 1], with a flag if it is missing; categories one-hot."""
    parts = []
    for n, (column, values) in enumerate(pairs):
        if n == target:
            continue
        if isinstance(column, Number):
            rank = np.searchsorted(ranks[n], values) / len(ranks[n])  # of 0 to 1; missing values are the last
            missing = np.isnan(values)
            parts.append(torch.from_numpy(np.stack([np.where(missing, 0.0, 2 * rank - 1), missing], 1)).float())
        else:
            parts.append(one_hot(values.astype(np.int64), column.choices))
    return torch.cat(parts, 1)
