"""Are generated samples copies of training samples?

Paper: Alaa et al., "How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing Generative
    Models", 2022, https://arxiv.org/abs/2102.08921, section 3 and equation 10
    A sample is a copy if it is closer to its nearest training sample than that one is to any other training sample.
Departure: distances are measured in the features of the chosen extractor; the paper embeds them in a hypersphere first.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganzoo import Metric, Samples, Score

_ROWS = 2000  # rows of the distance matrix per block


class Authenticity(Metric):
    """The share of generated samples that are not copies of training samples. About half of new real samples are closer
    to one than it is to the others, so 0.5 is what unseen data has (see ``--real``); far below is copying. A generator
    of noise has 1: read it beside a distance.

    Its details hold the share of samples that are much closer than that, by half: copies that anybody would see.
    """

    feature_kinds = ("prc",)
    reference = "training"

    def min_samples(self, feature_dim: int) -> int:
        return 50

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        fakes, reals = fake.features("prc").double(), real.features("prc").double()
        spacing = torch.cat([_distances(rows, reals).kthvalue(2).values for rows in reals.split(_ROWS)])  # (n,)
        nearest = [_distances(rows, reals).min(1) for rows in fakes.split(_ROWS)]
        distance, neighbor = (torch.cat(parts) for parts in zip(*nearest, strict=True))
        ratio = distance / spacing[neighbor].clamp_min(1e-12)
        details = {"obvious_copies": (ratio < 0.5).double().mean().item(), "training_samples": len(reals)}
        return {"authenticity": Score((ratio >= 1).double().mean().item(), "higher", details)}


def _distances(rows: Tensor, reals: Tensor) -> Tensor:
    """Return distances (n, m) that are exactly 0 for equal features: training sets have duplicates."""
    return torch.cdist(rows, reals, compute_mode="donot_use_mm_for_euclid_dist")
