"""Metrics from the digit classifier: which classes are generated, and whether they match the labels.

Counting modes with a classifier: Metz et al., "Unrolled Generative Adversarial Networks", 2017,
    https://arxiv.org/abs/1611.02163
Departures: a class counts if it has a minimal share of the samples, not a single sample; the entropy of the shares is
    reported instead of their divergence from those of the dataset.
"""

from collections.abc import Mapping
from typing import Annotated

import torch

from ganzoo import Metric, Option, Samples, Score, UsageError
from ganzoo_digits.classifier import CLASSES


class Classes(Metric):
    """How generated digits are distributed over the ten classes; each sample counts for its most probable class. Real
    samples are not used.

    - ``modes-mnist``: number of classes with at least ``share`` of the samples; 10 at best.
    - ``entropy-mnist``: entropy of the classes' shares in nats; 0 if all samples are of one class, log 10 = 2.303 at
      best.
    - ``confidence-mnist``: mean probability of a sample's class, 0.1 to 1; above 0.99 for MNIST itself.

    The classifier has seen only digits and may be confident about noise too: read these numbers next to ``fd-mnist``.
    """

    feature_kinds = ("isc",)
    extractor = "mnist"

    def __init__(
        self, *, share: Annotated[float, Option("Share of the samples that makes a class count", gt=0, le=0.1)] = 0.01
    ) -> None:
        self.share = share

    def min_samples(self, feature_dim: int) -> int:
        return CLASSES

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        confidence, classes = fake.features("isc").double().softmax(1).max(1)  # (n,) each
        shares = classes.bincount(minlength=CLASSES).double() / len(classes)  # (10,)
        return {
            "modes-mnist": Score(float((shares >= self.share).sum()), "higher", {"shares": shares.tolist()}),
            "entropy-mnist": Score(torch.special.entr(shares).sum().item(), "higher"),
            "confidence-mnist": Score(confidence.mean().item(), "higher"),
        }


class Accuracy(Metric):
    """``accuracy-mnist``: the share of generated digits whose class is their ``label``; 0.1 if the model ignores
    labels, about 0.996 for MNIST itself. Its details are the accuracies per class, None for a class without samples.
    """

    feature_kinds = ("isc",)
    extractor = "mnist"
    required_fields = ("label",)

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        labels = fake.extras["label"]
        if labels.shape != fake.values.shape[:1] or labels.is_floating_point() or not set(labels.tolist()) <= _DIGITS:
            raise UsageError("The metric 'accuracy' needs samples of digits, each with a label from 0 to 9.")
        right = fake.features("isc").argmax(1) == labels  # (n,)
        each = [right[labels == digit] for digit in range(CLASSES)]
        details = {"classes": [found.double().mean().item() if len(found) else None for found in each]}
        return {"accuracy-mnist": Score(right.double().mean().item(), "higher", details)}


_DIGITS = set(range(CLASSES))
