"""The kernel distance: the squared maximum mean discrepancy between two sets of features.

Paper: Binkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401, section 4
    E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x.y / d + 1)^3,   unbiased, averaged over random subsets
Computed by torch-fidelity.
"""

from collections.abc import Mapping
from typing import Annotated

from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from ganzoo import Metric, Option, Samples, Score


class KernelDistance(Metric):
    """KID in the features of the chosen extractor; 0 (or slightly below) for equal distributions, with any number of
    samples."""

    feature_kinds = ("kid",)

    def __init__(
        self,
        *,
        subsets: Annotated[int, Option("Number of random subsets that are averaged", ge=1, le=10000)] = 100,
        subset_size: Annotated[int, Option("Samples per subset", ge=2)] = 1000,
    ) -> None:
        self.subsets, self.subset_size = subsets, subset_size

    def min_samples(self, feature_dim: int) -> int:
        return self.subset_size

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        found = kid_features_to_metric(
            fake.features("kid").double(),
            real.features("kid").double(),
            kid_subsets=self.subsets,
            kid_subset_size=self.subset_size,
            rng_seed=fake.seed % 2**32,
            verbose=False,
        )
        return {"kid": Score(found[KEY_METRIC_KID_MEAN], "lower", {"std": found[KEY_METRIC_KID_STD]})}
