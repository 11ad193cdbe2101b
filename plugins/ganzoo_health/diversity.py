"""How diverse generated samples are, compared with real ones.

Paper: Friedman and Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", 2023,
    https://arxiv.org/abs/2210.02410, definition 3.1
    VS(x_1 ... x_n) = exp(-sum_i lambda_i log lambda_i)     lambda: the eigenvalues of K / n, K_ij = k(x_i, x_j)
It is an effective number of different samples: 1 where all are the same, n where no two are alike.
Ours: k(x, y) = exp(-|x - y|^2 / 2 h^2) on the samples as they are, with h a third of the median distance between two
    real ones; and the ratio of the fakes' score to that of as many real samples, so that 1 is as diverse as the data.
"""

import math

import torch
from torch import Tensor

BANDWIDTH = 1 / 3
"""h over the median distance of real samples. A half blurs 8 modes on a ring into 5.4 and a quarter takes noise on one
and the same digit for diversity; with a third the ring has 7.0, and 1 mode of 8 comes out as 0.14, 2 as 0.26."""

FEWEST, MOST = 8, 512
"""Samples on either side: too few say nothing; more than enough cost time, which goes with their cube."""


def diversity(fake: Tensor, real: Tensor) -> float | None:
    """Return the Vendi score of ``fake`` over that of ``real``, (n, *shape) each: about 1 for a generator that is as
    diverse as the data, 1 over the real samples' score for one that makes the same sample again and again.

    None where that cannot be said: other shapes, fewer than 8 samples, real samples that are all alike, or a sample
    that is not finite.
    """
    if fake.shape != real.shape or fake.ndim < 2 or len(fake) < FEWEST:
        return None
    fake, real = (samples[:MOST].flatten(1).double() for samples in (fake, real))
    between = _squared_distances(real)
    bandwidth = BANDWIDTH * between[*torch.triu_indices(*between.shape, offset=1)].median().sqrt()
    if not fake.isfinite().all() or not real.isfinite().all() or bandwidth == 0:
        return None
    return _vendi(_squared_distances(fake), bandwidth) / _vendi(between, bandwidth)


def _squared_distances(samples: Tensor) -> Tensor:
    return torch.cdist(samples, samples, compute_mode="donot_use_mm_for_euclid_dist").square()  # (n, d) -> (n, n)


def _vendi(squared: Tensor, bandwidth: Tensor) -> float:
    kernel = torch.exp(squared / (-2 * bandwidth**2)) / len(squared)  # symmetric, positive, of trace 1
    eigenvalues = torch.linalg.eigvalsh(kernel).clamp(min=0)  # rounding puts some a little below 0
    return math.exp(-torch.xlogy(eigenvalues, eigenvalues).sum().item())
