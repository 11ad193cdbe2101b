"""The classifier score, known as Inception Score if the classifier is Inception.

Paper: Salimans et al., "Improved Techniques for Training GANs", 2016, https://arxiv.org/abs/1606.03498, section 4
    exp E KL(p(y|x) || p(y)): high if each sample clearly belongs to a class and all classes are equally frequent; at
    most the number of classes
Computed by torch-fidelity, over ten splits.
"""

from collections.abc import Mapping

from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from ganzoo import Metric, Samples, Score

_SPLITS = 10


class ClassifierScore(Metric):
    """The score of the generated samples; real samples are not used."""

    feature_kinds = ("isc",)

    def min_samples(self, feature_dim: int) -> int:
        return _SPLITS

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        found = isc_features_to_metric(fake.features("isc").double(), splits=_SPLITS, rng_seed=fake.seed % 2**32)
        return {"is": Score(found[KEY_METRIC_ISC_MEAN], "higher", {"std": found[KEY_METRIC_ISC_STD]})}
