"""Precision, recall, density and coverage: do the generated samples look real, and are all real ones covered?

Papers: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019,
    https://arxiv.org/abs/1904.06991, equations 1 and 2
    precision: the share of fakes that lie in the ball of a real sample; recall: the share of real samples that lie in
    the ball of a fake. The radius of a sample's ball is the distance to its k-th nearest neighbor in its own set.
Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020,
    https://arxiv.org/abs/2002.09797, section 3
    density: the mean number of real balls that a fake lies in, divided by k; coverage: the share of real balls that
    contain a fake.
Precision and recall are computed by torch-fidelity, which lacks the other two. Departure: one k for all four, the
    second paper's 5; the first paper used 3 (--set prdc.nearest=3).
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from ganzoo import Metric, Option, Samples, Score

_ROWS = 2000  # rows of the distance matrix per block: memory grows with the samples, not with their square


class PrecisionRecallDensityCoverage(Metric):
    """Precision, recall, density and coverage in the features of the chosen extractor; higher is better. All except
    density are at most 1, which even two draws from one distribution do not quite reach."""

    feature_kinds = ("prc",)

    def __init__(
        self, *, nearest: Annotated[int, Option("k: a ball reaches to the k-th nearest neighbor", ge=1)] = 5
    ) -> None:
        self.nearest = nearest

    def min_samples(self, feature_dim: int) -> int:
        return 20 * self.nearest  # with fewer, the balls are so large that everything is inside some

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        fakes, reals = fake.features("prc").double(), real.features("prc").double()  # neighbors may be very close
        found = prc_features_to_metric(
            fakes, reals, prc_neighborhood=self.nearest, prc_batch_size=_ROWS, save_cpu_ram=True, verbose=False
        )
        density, coverage = density_and_coverage(fakes, reals, self.nearest)
        return {
            "precision": Score(found[KEY_METRIC_PRECISION], "higher"),
            "recall": Score(found[KEY_METRIC_RECALL], "higher"),
            "density": Score(density, "higher"),
            "coverage": Score(coverage, "higher"),
        }


def density_and_coverage(fakes: Tensor, reals: Tensor, nearest: int) -> tuple[float, float]:
    """Return both for features (n, d) of fakes and of real samples. A ball contains what is closer than its radius."""
    inside, covered = 0, 0
    for rows in reals.split(_ROWS):
        radius = torch.cdist(rows, reals).kthvalue(nearest + 1).values  # the nearest of all is the sample itself
        hits = torch.cdist(rows, fakes) < radius[:, None]  # (rows, n)
        inside += int(hits.sum())
        covered += int(hits.any(dim=1).sum())
    return inside / (nearest * len(fakes)), covered / len(reals)
