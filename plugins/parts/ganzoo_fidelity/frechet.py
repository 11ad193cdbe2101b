"""The Fréchet distance between two sets of features, each modeled as a Gaussian.

Paper: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017,
    https://arxiv.org/abs/1706.08500, equation 6
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))       m, C: mean and covariance of the features
Computed by torch-fidelity. It is called FID only with the features of torch-fidelity's Inception network.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from ganzoo import Metric, Samples, Score


class FrechetDistance(Metric):
    """The Fréchet distance in the features of the chosen extractor; 0 for equal distributions. Few samples bias it
    upward, so only distances computed with the same number of samples compare."""

    key: ClassVar[str] = "fd"
    feature_kinds = ("fid",)

    def min_samples(self, feature_dim: int) -> int:
        return feature_dim + 1  # for a covariance of full rank

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        statistics = [fid_features_to_statistics(samples.features("fid").double()) for samples in (fake, real)]
        return {self.key: Score(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID], "lower")}


class FrechetInceptionDistance(FrechetDistance):
    """FID: the Fréchet distance in the 2048 features of torch-fidelity's Inception. It compares with published values
    that were computed with the same number of samples."""

    key = "fid"
    extractor = "inception-v3-compat"
