"""Whether the categories that a GAN found on its own are digits.

Source: Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", 2008, chapter 16,
    https://nlp.stanford.edu/IR-book/, section 16.3
    purity = (1/n) sum_k max_j |category k and digit j|
The digit of a sample is the one that the classifier of the plugin ``digits`` sees in it.
"""

from collections.abc import Mapping

import torch

from ganzoo import Dataset, Metric, Samples, Score, UsageError

DIGITS = 10


class Purity(Metric):
    """``purity-mnist``: the share of generated digits that are the most frequent digit of their category (``code``); 1
    at best, about 0.1 for meaningless categories. Its details hold the most frequent digit of each category and its
    share there (None for a category without samples).

    One digit may be the most frequent in several categories, and purity rises with the number of categories, even if
    they mean nothing.
    """

    feature_kinds = ("isc",)
    extractor = "mnist"
    required_fields = ("code",)

    def min_samples(self, feature_dim: int) -> int:
        return DIGITS

    def check(self, dataset: Dataset) -> None:
        if dataset.extractor.rpartition("/")[2] != "mnist":
            raise ValueError("it is for handwritten digits, whose extractor is 'mnist'")

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        code = fake.extras["code"]
        if code.shape != fake.values.shape[:1] or code.is_floating_point() or code.min() < 0:
            raise UsageError("The metric 'purity' needs one category per sample, an integer from 0.")
        digit = fake.features("isc").argmax(1)  # (n,)
        table = torch.bincount(code * DIGITS + digit, minlength=DIGITS * (int(code.max()) + 1)).view(-1, DIGITS)
        most, digits = table.max(1)  # (categories,) each
        sizes = table.sum(1).tolist()
        details = {
            "digits": [d if size else None for d, size in zip(digits.tolist(), sizes, strict=True)],
            "shares": [m / size if size else None for m, size in zip(most.tolist(), sizes, strict=True)],
        }
        return {"purity-mnist": Score(most.sum().item() / len(code), "higher", details)}
