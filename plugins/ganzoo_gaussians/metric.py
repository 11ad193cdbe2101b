"""How many of a mixture's modes are found, how evenly, and how many samples lie in one.

Papers: Srivastava et al., "VEEGAN", 2017, https://arxiv.org/abs/1705.07761, on synthetic data
    a sample is of high quality if it lies within 3 standard deviations of the nearest centre; a mode is found if a
    sample of high quality is nearest to it
Lin et al., "PacGAN: The Power of Two Samples in Generative Adversarial Networks", 2018,
    https://arxiv.org/abs/1712.04086, on synthetic data
    reverse KL = sum_i p_i log(k p_i)       p_i: the share of samples, here of all, that are nearest to mode i of k
Ours is one number that is good only if all of this is, for choosing the best checkpoint:
    mode overlap = sum_i min(q_i, 1/k)      q_i: the share of all samples that are of high quality and nearest to mode i
    which is 1 - the total variation distance between q (with what is of no quality as a bin of its own) and 1/k each.
"""

from typing import Annotated

import torch

from ganzoo import Metric, Option, Score


class GaussianModes(Metric):
    """``mode-overlap``, in [0, 1], is 1 for samples of high quality shared out evenly, 1/k for a collapse to one mode
    of k, and 0 if none is of high quality; ``modes`` are those found; ``high-quality`` is a share; ``reverse-kl``, in
    [0, log k], is in nats. Of a Gaussian itself 1 - exp(-9/2) = 98.9 % are of high quality.

    For data sets that have ``centres`` (k, 2) and one ``deviation``, such as ring8 and grid25.
    """

    def __init__(
        self, *, at_least: Annotated[int, Option("Samples of high quality that make a mode count as found", ge=1)] = 1
    ) -> None:
        self.at_least = at_least

    def check(self, data):
        if not hasattr(data, "centres") or not hasattr(data, "deviation"):
            raise ValueError("it is for mixtures of Gaussians, which have centres and a deviation, such as ring8")

    def measure(self, fake, real):
        centres, deviation = fake.data.centres, fake.data.deviation
        exact = "donot_use_mm_for_euclid_dist"  # the faster way rounds by more than a deviation may be
        distance, nearest = torch.cdist(fake.values.double(), centres.double(), compute_mode=exact).min(dim=1)  # (n,)
        k, n = len(centres), len(nearest)
        good = torch.bincount(nearest[distance <= 3 * deviation], minlength=k).double()
        share = torch.bincount(nearest, minlength=k).double() / n
        return {
            "mode-overlap": Score(good.clamp(max=n / k).sum().item() / n, "higher"),
            "modes": Score((good >= self.at_least).sum().item(), "higher", {"shares": (good / n).tolist()}),
            "high-quality": Score(good.sum().item() / n, "higher"),
            "reverse-kl": Score(torch.xlogy(share, k * share).sum().item(), "lower"),
        }
