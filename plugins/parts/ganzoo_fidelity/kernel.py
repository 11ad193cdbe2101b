"""The kernel distance: the squared maximum mean discrepancy between two sets of features.

Paper: Binkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401, section 4
    E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x.y / d + 1)^3,   unbiased, averaged over random subsets
Computed by torch-fidelity. It is called KID only with the features of torch-fidelity's Inception network.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from ganzoo import Metric, Option, Samples, Score

_LARGEST = 1000  # samples per subset, as in the paper
_FEWEST = 50  # with fewer, the distance is smaller than its deviation


class KernelDistance(Metric):
    """The kernel distance in the features of the chosen extractor; 0 (or slightly below) for equal distributions, with
    any number of samples. Its details hold the standard deviation over the subsets."""

    key: ClassVar[str] = "kd"
    feature_kinds = ("kid",)

    def __init__(
        self,
        *,
        subsets: Annotated[int, Option("Number of random subsets that are averaged", ge=1, le=10000)] = 100,
        subset_size: Annotated[
            int | None, Option("Samples per subset; by default 1,000, or half of the samples if there are fewer", ge=2)
        ] = None,
    ) -> None:
        self.subsets, self.subset_size = subsets, subset_size

    def min_samples(self, feature_dim: int) -> int:
        return self.subset_size or _FEWEST

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        fakes, reals = fake.features("kid").double(), real.features("kid").double()
        found = kid_features_to_metric(
            fakes,
            reals,
            kid_subsets=self.subsets,
            kid_subset_size=self.subset_size or min(_LARGEST, min(len(fakes), len(reals)) // 2),
            rng_seed=fake.seed % 2**32,
            verbose=False,
        )
        return {self.key: Score(found[KEY_METRIC_KID_MEAN], "lower", {"std": found[KEY_METRIC_KID_STD]})}


class KernelInceptionDistance(KernelDistance):
    """KID: the kernel distance in the 2048 features of torch-fidelity's Inception, as it is published."""

    key = "kid"
    extractor = "inception-v3-compat"
