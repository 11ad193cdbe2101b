"""The Fréchet distance between two sets of features, each taken for a Gaussian.

Paper: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017,
    https://arxiv.org/abs/1706.08500, equation 6
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))       m, C: mean and covariance of the features
The arithmetic is torch-fidelity's. Only in the features of its Inception network is it called FID.
"""

from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from ganzoo import Metric, Score


class FrechetDistance(Metric):
    """The Fréchet distance in the features of whatever extractor was chosen; 0 for the same distribution. It is biased
    upwards by few samples, so only distances of as many samples compare."""

    layers = ("fid",)

    def fewest(self, width):
        return width + 1  # a covariance of full rank

    def measure(self, fake, real):
        statistics = [fid_features_to_statistics(samples.features("fid").double()) for samples in (fake, real)]
        return {self.key(): Score(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID], "lower")}

    def key(self):
        return "fd"


class FrechetInceptionDistance(FrechetDistance):
    """FID: the Fréchet distance in the 2048 features of torch-fidelity's Inception, which compares with published ones
    (as far as they were computed with as many samples)."""

    extractor = "inception-v3-compat"

    def key(self):
        return "fid"
