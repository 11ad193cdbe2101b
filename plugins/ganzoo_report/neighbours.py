"""Nearest training examples of samples, and how near real samples are to each other: is it copying?

A generated sample that is far nearer to a training example than real samples are to one another looks like a copy of
it. Distances are Euclidean, in the features that precision and recall are measured in (Kynkäänniemi et al., 2019,
https://arxiv.org/abs/1904.06991), or between pixels in [-1, 1].
"""

import time
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ganzoo import Data, GanzooError, images
from ganzoo.evaluation import draw
from ganzoo.evaluation.extractors import RAW, Extractor
from ganzoo.plugins import Zoo
from ganzoo.training import randomness

NEAREST = 3
_WHOLE = 60_000 * 28 * 28  # numbers: data up to this size are searched whole
_MOST = 20_000  # examples of larger data
_MEMORY = 200_000_000  # numbers, whatever the data
_RAW_WIDEST = 4096
_SECONDS = 30.0  # of computing, for an extractor; a slow one looks at fewer examples
_TYPICAL = 200


@dataclass(frozen=True)
class Neighbours:
    """The nearest examples of some samples.

    Attributes:
        values: uint8 (n, NEAREST, C, H, W), the nearest first.
        distances: (n, NEAREST).
    """

    values: Tensor
    distances: Tensor


class Reference:
    """Training examples and their features.

    Attributes:
        total, used: examples in the data set, and how many of them are searched.
        measure: what distances are between, in words.
        typical: the median distance of a real sample to its nearest among the others.
        note: why the data's own extractor was not used; empty if it was.
    """

    def __init__(self, zoo: Zoo, data: Data, target: str, seed: int) -> None:
        self.total = len(data)
        numbers = prod(data.fields[target].shape)
        self.used = self.total
        if self.total * numbers > _WHOLE:
            self.used = min(self.total, _MOST, max(1000, _MEMORY // numbers))
        self._values, _ = draw.gather(draw.real(data, target, self.used, seed), data)  # uint8 (n, C, H, W)
        self._measured = data.measured
        self._extract, self.measure, self.note = self._choose(zoo, data.extractor)
        self._values = self._values[: self.used]
        self._features = self._extract(self._values)  # (n, d)
        rng = randomness.generator(seed, "typical")
        some = torch.randperm(self.used, generator=rng)[:_TYPICAL]
        _, distances = self._nearest(self._features[some], 2)  # the nearest of all is the sample itself
        self.typical = distances[:, 1].median().item()

    def of(self, samples: Tensor) -> Neighbours:
        """Return the nearest examples of images (n, C, H, W) in [-1, 1]."""
        index, distances = self._nearest(
            self._extract(images.to_bytes(self._measured(samples))), min(NEAREST, self.used)
        )
        return Neighbours(self._values[index], distances)

    def _choose(self, zoo: Zoo, name: str):
        """Return a function from uint8 images to features, what it measures, and what went wrong."""
        note = ""
        if name != RAW:
            try:
                extractor = Extractor(zoo, name, ["prc"], torch.device("cpu"))
                self._hasten(extractor)
                return lambda values: extractor(values)["prc"], f"the features of the extractor {name}", note
            except GanzooError as error:
                note = f"The data's own extractor cannot be used here: {error}"
        small = self._values[0].numel() <= _RAW_WIDEST
        return _pixels, "pixels in [-1, 1]" + ("" if small else ", averaged down to 32 x 32"), note

    def _hasten(self, extractor: Extractor) -> None:
        """Let a slow extractor look at fewer examples, one of a few fixed numbers."""
        extractor.check(self._values)
        began = time.process_time()  # not the clock's time: what else runs must not change the choice
        extractor(self._values[:500])
        each = (time.process_time() - began) / min(500, len(self._values))
        for size in (_MOST, 5000, 1000):
            if each * self.used > _SECONDS:
                self.used = min(self.used, size)

    def _nearest(self, features: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the indices and distances (n, k) of the nearest; found by a matrix product, then computed anew for
        what was found, because the product is not exact near 0."""
        index = torch.cdist(features, self._features).topk(k, largest=False).indices
        distances = (features[:, None] - self._features[index]).norm(dim=2)
        distances, order = distances.sort(dim=1)
        return index.gather(1, order), distances


def _pixels(values: Tensor) -> Tensor:
    if values[0].numel() > _RAW_WIDEST:
        parts = [adaptive_avg_pool2d(images.from_bytes(batch), 32).flatten(1) for batch in values.split(1000)]
        return torch.cat(parts)
    return images.from_bytes(values).flatten(1)
