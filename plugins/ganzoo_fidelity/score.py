"""The classifier score, known as Inception Score where the classifier is Inception.

Paper: Salimans et al., "Improved Techniques for Training GANs", 2016, https://arxiv.org/abs/1606.03498, section 4
    exp E KL(p(y|x) || p(y)):   each sample is of a clear class, and all classes come alike; at most their number
The arithmetic is torch-fidelity's, over ten splits.
"""

from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from ganzoo import Metric, Score


class ClassifierScore(Metric):
    """The score of generated samples alone; real ones are not looked at."""

    layers = ("isc",)

    def fewest(self, width):
        return 10  # one a split

    def measure(self, fake, real):
        found = isc_features_to_metric(fake.features("isc").double(), splits=10, rng_seed=fake.seed % 2**32)
        return {"is": Score(found[KEY_METRIC_ISC_MEAN], "higher", {"spread": found[KEY_METRIC_ISC_STD]})}
