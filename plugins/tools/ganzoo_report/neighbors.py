"""Nearest training examples of samples, and how near real samples are to each other: does the generator copy?

A generated sample that is much closer to a training example than real samples are to each other is probably a copy.
Distances are Euclidean, in the features used for precision and recall (Kynkäänniemi et al., 2019,
https://arxiv.org/abs/1904.06991), or between pixels in [-1, 1].
"""

import time
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ganzoo import Dataset, GanzooError, Zoo, images, randomness
from ganzoo.evaluation import draw
from ganzoo.evaluation.extractors import RAW, Extractor

NEAREST = 3
_MAX_VALUES = 60_000 * 28 * 28  # datasets up to this size are searched completely
_MAX_EXAMPLES = 20_000  # of larger datasets
_MAX_MEMORY = 200_000_000  # values of examples of larger datasets, unless fewer than 1000 examples fit
_MAX_RAW = 4096  # values per sample; larger images are averaged down to compare pixels
_MAX_SECONDS = 30.0  # of computing time of an extractor; a slow one gets fewer examples
_TYPICAL = 200


class Reference:
    """Training examples and their features.

    Attributes:
        total, used: number of examples in the dataset, and how many of them are searched.
        measure: what distances are between, in words.
        typical: the median distance from a real sample to its nearest other one.
        note: why the dataset's extractor was not used; empty if it was.
    """

    def __init__(self, zoo: Zoo, dataset: Dataset, seed: int) -> None:
        self.total = self.used = len(dataset)
        size = prod(dataset.fields[dataset.target].shape)
        if self.total * size > _MAX_VALUES:
            self.used = min(self.total, _MAX_EXAMPLES, max(1000, _MAX_MEMORY // size))
        self._values, _ = draw.gather(draw.real(dataset, self.used, seed), dataset)  # uint8 (n, C, H, W)
        self._postprocess = dataset.postprocess
        self._extract, self.measure, self.note = self._choose_extractor(zoo, dataset.extractor)
        self._values = self._values[: self.used]
        self._features = self._extract(self._values)  # (n, d)
        rng = randomness.generator(seed, "typical")
        chosen = torch.randperm(self.used, generator=rng)[:_TYPICAL]
        _, distances = self._nearest(self._features[chosen], 2)  # the very nearest is the sample itself
        self.typical = distances[:, 1].median().item()

    def nearest(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest examples of images (n, C, H, W) in [-1, 1] as uint8 (n, NEAREST, C, H, W), nearest first,
        and their distances (n, NEAREST)."""
        features = self._extract(images.to_bytes(self._postprocess(samples)))
        index, distances = self._nearest(features, min(NEAREST, self.used))
        return self._values[index], distances

    def _choose_extractor(self, zoo: Zoo, name: str) -> tuple[Callable[[Tensor], Tensor], str, str]:
        """Return a function from uint8 images to features, what it measures, and why it is not the dataset's."""
        note = ""
        if name != RAW:
            try:
                extractor = Extractor(zoo, name, ["prc"], torch.device("cpu"))
                self._limit_time(extractor)
                return lambda values: extractor(values)["prc"], f"the features of the extractor {name}", note
            except GanzooError as error:
                note = f"The dataset's own extractor cannot be used here: {error}"
        small = self._values[0].numel() <= _MAX_RAW
        return _pixels, "pixels in [-1, 1]" + ("" if small else ", averaged down to 32 x 32"), note

    def _limit_time(self, extractor: Extractor) -> None:
        """Reduce the number of examples for a slow extractor, to one of a few fixed numbers."""
        extractor.check(self._values)
        start = time.process_time()  # not wall-clock time: other processes must not change the choice
        extractor(self._values[:500])
        seconds = (time.process_time() - start) / min(500, len(self._values))
        for size in (_MAX_EXAMPLES, 5000, 1000):
            if seconds * self.used > _MAX_SECONDS:
                self.used = min(self.used, size)

    def _nearest(self, features: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the indices and distances (n, k) of the nearest. They are found by a matrix product, which is inexact
        near 0; their distances are then computed directly."""
        index = torch.cdist(features, self._features).topk(k, largest=False).indices
        distances = (features[:, None] - self._features[index]).norm(dim=2)
        distances, order = distances.sort(dim=1)
        return index.gather(1, order), distances


def _pixels(values: Tensor) -> Tensor:
    if values[0].numel() > _MAX_RAW:
        parts = [adaptive_avg_pool2d(images.from_bytes(batch), 32).flatten(1) for batch in values.split(1000)]
        return torch.cat(parts)
    return images.from_bytes(values).flatten(1)
