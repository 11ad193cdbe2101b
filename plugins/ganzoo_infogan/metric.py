"""Whether the categories that a GAN found by itself are digits.

Source: Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", 2008, chapter 16,
    https://nlp.stanford.edu/IR-book/, section 16.3
    purity = (1/n) sum_k max_j |category k and digit j|
The digit of a sample is what the classifier of the plugin ``digits`` takes it for.
"""

import torch

from ganzoo import Metric, Score, UsageError

DIGITS = 10


class Purity(Metric):
    """``purity-mnist``: the share of generated digits that are the commonest digit of the category (``code``) they were
    made from; 1 at best, about 0.1 for categories that mean nothing. Kept with it: each category's commonest digit, and
    its share there (None for a category without samples).

    One digit may be the commonest of several categories, and with many categories purity is high by itself.
    """

    layers = ("isc",)
    extractor = "mnist"
    needs = ("code",)

    def fewest(self, width):
        return DIGITS

    def check(self, data):
        if data.extractor.rpartition("/")[2] != "mnist":
            raise ValueError("it is for handwritten digits, whose features are those of 'mnist'")

    def measure(self, fake, real):
        code = fake.given["code"]
        if code.shape != fake.values.shape[:1] or code.is_floating_point() or code.min() < 0:
            raise UsageError("The metric 'purity' needs a category with each sample, a whole number from 0.")
        digit = fake.features("isc").argmax(1)  # (n,)
        table = torch.bincount(code * DIGITS + digit, minlength=DIGITS * (int(code.max()) + 1)).view(-1, DIGITS)
        most, commonest = table.max(1)  # (categories,) each
        sizes = table.sum(1).tolist()
        details = {
            "digits": [d if size else None for d, size in zip(commonest.tolist(), sizes, strict=True)],
            "shares": [m / size if size else None for m, size in zip(most.tolist(), sizes, strict=True)],
        }
        return {"purity-mnist": Score(most.sum().item() / len(code), "higher", details)}
