"""What the classifier of digits says of generated ones: which classes there are, and whether they are those asked for.

Counting modes with a classifier: Metz et al., "Unrolled Generative Adversarial Networks", 2017,
    https://arxiv.org/abs/1611.02163
Departures: a class counts from a share of the samples on, not from one sample; and the entropy of the shares is
    reported, not their divergence from the data's.
"""

from typing import Annotated

import torch

from ganzoo import Metric, Option, Score, UsageError
from ganzoo_digits.classifier import CLASSES


class Classes(Metric):
    """How generated digits spread over the ten classes, each sample in its likeliest. Real ones are not looked at.

    - ``modes-mnist``: how many classes have at least ``share`` of the samples; 10 at best.
    - ``entropy-mnist``: of the classes' shares, in nats; 0 if all samples are of one class, log 10 = 2.303 at best.
    - ``confidence-mnist``: the mean probability of a sample's class, 0.1 to 1; MNIST itself has more than 0.99.

    The classifier has only ever seen digits, and may be sure of noise too: read these next to ``fd-mnist``.
    """

    layers = ("isc",)
    extractor = "mnist"

    def __init__(
        self, *, share: Annotated[float, Option("Of the samples that a class needs to count", gt=0, le=0.1)] = 0.01
    ):
        self.share = share

    def fewest(self, width):
        return CLASSES

    def measure(self, fake, real):
        certainty, classes = fake.features("isc").double().softmax(1).max(1)  # (n,) each
        shares = classes.bincount(minlength=CLASSES).double() / len(classes)  # (10,)
        return {
            "modes-mnist": Score(float((shares >= self.share).sum()), "higher", {"shares": shares.tolist()}),
            "entropy-mnist": Score(torch.special.entr(shares).sum().item(), "higher"),
            "confidence-mnist": Score(certainty.mean().item(), "higher"),
        }


class Accuracy(Metric):
    """The share of generated digits that are of the class their ``label`` asked for: ``accuracy-mnist``, 0.1 for labels
    that are ignored, about 0.996 for MNIST itself. Kept with it: the same for each class, None if nobody asked for it.
    """

    layers = ("isc",)
    extractor = "mnist"
    needs = ("label",)

    def measure(self, fake, real):
        labels = fake.given["label"]
        if labels.shape != fake.values.shape[:1] or labels.is_floating_point() or not set(labels.tolist()) <= _DIGITS:
            raise UsageError("The metric 'accuracy' needs a label from 0 to 9 with each sample: it is about digits.")
        right = fake.features("isc").argmax(1) == labels  # (n,)
        each = [right[labels == digit] for digit in range(CLASSES)]
        details = {"classes": [found.double().mean().item() if len(found) else None for found in each]}
        return {"accuracy-mnist": Score(right.double().mean().item(), "higher", details)}


_DIGITS = set(range(CLASSES))
