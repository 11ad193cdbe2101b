"""How many modes of a mixture are found, how evenly, and how many samples lie in one.

Papers: Srivastava et al., "VEEGAN", 2017, https://arxiv.org/abs/1705.07761, on synthetic data
    a sample is of high quality if it lies within 3 standard deviations of the nearest center; a mode is found if a
    high-quality sample is nearest to it
Lin et al., "PacGAN: The Power of Two Samples in Generative Adversarial Networks", 2018,
    https://arxiv.org/abs/1712.04086, on synthetic data
    reverse KL = sum_i p_i log(k p_i)       p_i: the share of samples, here of all, that are nearest to mode i of k
Ours is one number that is good only if all of this is good, for choosing the best checkpoint:
    mode overlap = sum_i min(q_i, 1/k)      q_i: the share of all samples that are of high quality and nearest to mode i
    This is 1 minus the total variation distance between q (with the other samples as a bin of their own) and 1/k each.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import torch

from ganzoo import Dataset, Metric, Option, Samples, Score


class GaussianModes(Metric):
    """Modes found, and quality of the samples.

    - ``mode-overlap``: in [0, 1]; 1 for high-quality samples spread evenly, 1/k for a collapse to one of k modes, 0 if
      no sample is of high quality.
    - ``modes``: number of modes found.
    - ``high-quality``: share of high-quality samples; 1 - exp(-9/2) = 98.9% for the Gaussians themselves.
    - ``reverse-kl``: in [0, log k], in nats.

    For datasets with ``centers`` (k, 2) and one ``deviation``, such as ring8 and grid25.
    """

    def __init__(
        self, *, at_least: Annotated[int, Option("High-quality samples that make a mode count as found", ge=1)] = 1
    ) -> None:
        self.at_least = at_least

    def check(self, dataset: Dataset) -> None:
        if not hasattr(dataset, "centers") or not hasattr(dataset, "deviation"):
            raise ValueError("it is for mixtures of Gaussians, which have centers and a deviation, such as ring8")

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        mixture: Any = fake.dataset
        exact = "donot_use_mm_for_euclid_dist"  # the faster way has rounding errors above a narrow deviation
        distances = torch.cdist(fake.values.double(), mixture.centers.double(), compute_mode=exact)
        distance, nearest = distances.min(dim=1)  # (n,) each
        k, n = len(mixture.centers), len(nearest)
        good = torch.bincount(nearest[distance <= 3 * mixture.deviation], minlength=k).double()
        share = torch.bincount(nearest, minlength=k).double() / n
        return {
            "mode-overlap": Score(good.clamp(max=n / k).sum().item() / n, "higher"),
            "modes": Score((good >= self.at_least).sum().item(), "higher", {"shares": (good / n).tolist()}),
            "high-quality": Score(good.sum().item() / n, "higher"),
            "reverse-kl": Score(torch.xlogy(share, k * share).sum().item(), "lower"),
        }
