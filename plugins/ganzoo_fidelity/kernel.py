"""The kernel distance: the squared maximum mean discrepancy of two sets of features.

Paper: Binkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401, section 4
    E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x.y / d + 1)^3,   unbiased, averaged over random subsets
The arithmetic is torch-fidelity's.
"""

from typing import Annotated

from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from ganzoo import Metric, Option, Score


class KernelDistance(Metric):
    """KID in the features of whatever extractor was chosen; 0 (or a little below) for the same distribution, however
    many samples there are."""

    layers = ("kid",)

    def __init__(
        self,
        *,
        subsets: Annotated[int, Option("Random subsets that are averaged", ge=1, le=10000)] = 100,
        subset_size: Annotated[int, Option("Samples in a subset", ge=2)] = 1000,
    ):
        self.subsets, self.subset_size = subsets, subset_size

    def fewest(self, width):
        return self.subset_size

    def measure(self, fake, real):
        found = kid_features_to_metric(
            fake.features("kid").double(),
            real.features("kid").double(),
            kid_subsets=self.subsets,
            kid_subset_size=self.subset_size,
            rng_seed=fake.seed % 2**32,
            verbose=False,
        )
        return {"kid": Score(found[KEY_METRIC_KID_MEAN], "lower", {"spread": found[KEY_METRIC_KID_STD]})}
