"""Metrics that compare series: their values, their memory, and whether a network can tell them apart.

Source: Yoon, Jarrett, van der Schaar, "Time-series Generative Adversarial Networks", 2019, section 5: the
    discriminative score
Departures: a GRU with one layer; at most 2,000 series on either side.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ganzoo import Dataset, Metric, Option, Samples, Score
from ganzoo.randomness import generator, preserved, seed_global
from ganzoo_series.data import SeriesDataset

_MOST = 2000  # series on either side that are told apart
_BATCH = 128


class OfSeries(Metric):
    """A metric for series."""

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, SeriesDataset):
            raise ValueError("it is for series, such as the dataset series")


class Autocorrelation(OfSeries):
    """``autocorrelation``: the mean absolute difference of the autocorrelation of the samples and of the real series,
    over the features and the lags from 1 to ``lags``; in [0, 2], and 0 at best. A series is compared with itself after
    its own mean is removed, and the autocorrelations of all series are averaged.
    """

    def __init__(
        self, *, lags: Annotated[int, Option("Largest lag, at most all but one of the steps", ge=1)] = 10
    ) -> None:
        self.lags = lags

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        lags = min(self.lags, fake.values.shape[1] - 1)
        made, true = (autocorrelation(samples.values, lags) for samples in (fake, real))
        details = {"samples": made.mean(1).tolist(), "real": true.mean(1).tolist()}
        return {"autocorrelation": Score((made - true).abs().mean().item(), "lower", details)}


def autocorrelation(series: Tensor, lags: int) -> Tensor:
    """Return the mean autocorrelation of series (n, T, F) at the lags 1 to ``lags``, float64 (lags, F). A series that
    does not change has none: 0."""
    centered = series.double() - series.double().mean(1, keepdim=True)
    power = centered.square().sum(1).clamp(min=1e-12)  # (n, F)
    steps = series.shape[1]
    return torch.stack(
        [(centered[:, lag:] * centered[:, : steps - lag]).sum(1) / power for lag in range(1, lags + 1)]
    ).mean(1)


class ValueDistance(OfSeries):
    """``values``: how far the distribution of the values in each step is from the real one, each step by itself: the
    mean distance of their quantiles (Wasserstein), over steps and features; 0 at best. All values are in [-1, 1], so 2
    is the worst.
    """

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        levels = (torch.arange(100, dtype=torch.float64) + 0.5) / 100
        made, true = (samples.values.double().quantile(levels, dim=0) for samples in (fake, real))
        each = (made - true).abs().mean(0)  # (T, F)
        return {"values": Score(each.mean().item(), "lower", {"features": each.mean(0).tolist()})}


class DiscriminativeScore(OfSeries):
    """``discriminative-score``: a recurrent network learns to tell samples from real series. The score is how far its
    accuracy on series that it has not seen is from guessing: |accuracy - 1/2|; 0 at best, 0.5 at worst.
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Option("Units of the network", ge=1)] = 24,
        steps: Annotated[int, Option("Training steps", ge=1)] = 300,
    ) -> None:
        self.width, self.steps = width, steps

    def min_samples(self, feature_dim: int) -> int:
        return 20

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        sides = [samples.values[:_MOST] for samples in (fake, real)]
        tested = [max(1, len(side) // 4) for side in sides]
        train = torch.cat([side[t:] for side, t in zip(sides, tested, strict=True)])
        target = torch.cat([torch.full((len(s) - t, 1), n) for n, (s, t) in enumerate(zip(sides, tested, strict=True))])
        rng = generator(fake.seed, "discriminative-score")
        with preserved():
            seed_global(fake.seed)
            network = _Recurrent(train.shape[2], self.width)
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        for _ in range(self.steps):
            index = torch.randint(len(train), (_BATCH,), generator=rng)
            loss = binary_cross_entropy_with_logits(network(train[index]), target[index].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = [
                ((network(side[:t]) > 0) == bool(n)).double().mean().item()
                for n, (side, t) in enumerate(zip(sides, tested, strict=True))
            ]
        accuracy = sum(right) / 2
        return {"discriminative-score": Score(abs(accuracy - 0.5), "lower", {"accuracy": accuracy})}


class _Recurrent(nn.Module):
    """Series (n, T, F) -> logits (n, 1) of being real, from the last state of a GRU."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.memory, self.out = nn.GRU(features, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, series: Tensor) -> Tensor:
        logit: Tensor = self.out(self.memory(series)[1][0])
        return logit
