"""Precision and recall, density and coverage: is what is generated real, and is what is real generated?

Papers: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019,
    https://arxiv.org/abs/1904.06991, equations 1 and 2
    precision: the share of fakes that lie in the ball of some real sample; recall: the share of real samples that lie
    in the ball of some fake. A sample's ball reaches to its k-th nearest neighbour among its own kind.
Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020,
    https://arxiv.org/abs/2002.09797, section 3
    density: in how many real balls a fake lies on average, over k; coverage: the share of real balls with a fake in it.
Precision and recall are torch-fidelity's; it lacks the other two. Departure: one k for all four, 5, which the second
    paper chose; the first one took 3 (--set prdc.nearest=3).
"""

from typing import Annotated

import torch
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from ganzoo import Metric, Option, Score

_ROWS = 2000  # distances are computed so many rows at a time: memory grows with the samples, not with their square


class PrecisionRecallDensityCoverage(Metric):
    """Four numbers of neighbourhoods in the features of whatever extractor was chosen. All get better upwards;
    precision, recall and coverage end at 1, which two draws from one distribution do not quite reach; density may pass
    it."""

    layers = ("prc",)

    def __init__(self, *, nearest: Annotated[int, Option("Whose distance is a ball's radius: the k-th", ge=1)] = 5):
        self.nearest = nearest

    def fewest(self, width):
        return self.nearest + 1

    def measure(self, fake, real):
        fakes, reals = fake.features("prc").double(), real.features("prc").double()  # neighbours may be very near
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


def density_and_coverage(fakes, reals, nearest):
    """Return both for features (n, d) of fakes and of real samples; a ball holds what lies nearer than its radius."""
    inside, covered = 0, 0
    for rows in reals.split(_ROWS):
        radius = torch.cdist(rows, reals).kthvalue(nearest + 1).values  # the nearest of all is the sample itself
        distances = torch.cdist(rows, fakes)  # (rows, n)
        hits = distances < radius[:, None]
        inside += hits.sum().item()
        covered += hits.any(dim=1).sum().item()
    return inside / (nearest * len(fakes)), covered / len(reals)
