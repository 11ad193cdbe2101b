"""What the codes of real images are good for: telling what they show, and reconstructing them.

Paper: Donahue et al., "Adversarial Feature Learning", 2017, https://arxiv.org/abs/1605.09782, table 1 (the nearest
    neighbor's label on MNIST) and figure 2 (reconstructions)
Departure: both look at the real samples of the evaluation, which are training images by default (change it with
    --set data.split=test), and neighbors are searched for among these; the paper searches all training images.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganzoo import Dataset, Metric, Samples, Score, UsageError
from ganzoo.images import from_bytes

BATCH = 512


class EncodingAccuracy(Metric):
    """``encoding-accuracy``: the share of real samples that have the label of their nearest neighbor, by the Euclidean
    distance of their codes E(x), which were learned without labels. It grows with the number of samples. Its details
    hold the same share for the distance of ``pixels``.

    For models that ``encode``, and datasets with labels.
    """

    def check(self, dataset: Dataset) -> None:
        check_size(dataset)
        if "label" not in dataset.fields or not dataset.fields["label"].classes:
            raise ValueError("it is for datasets with labels")

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        label, codes = real.extras["label"], encode(fake.model, real.values).cpu()
        pixels = {"pixels": same_label(real.values.flatten(1).float(), label)}
        return {"encoding-accuracy": Score(same_label(codes, label), "higher", pixels)}


class Reconstruction(Metric):
    """``reconstruction-l1``: the mean absolute difference between real images x and G(E(x)), over all pixels, where the
    full range counts as 1. For models that ``encode`` images to their latent ``z``."""

    def check(self, dataset: Dataset) -> None:
        check_size(dataset)

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        model: Any = fake.model
        with torch.no_grad():
            codes = encode(model, real.values).split(BATCH)
            images = torch.cat([model.generate({"z": part}).cpu() for part in codes])
        difference = (images - from_bytes(real.values)).double()
        return {"reconstruction-l1": Score(difference.abs().mean().item() / 2, "lower")}


def check_size(dataset: Dataset) -> None:
    """Refuse a dataset whose images are measured at another size than the encoder sees.

    Raises:
        ValueError: the sizes differ.
    """
    shape = dataset.fields[dataset.target].shape
    if dataset.postprocess(torch.zeros(1, *shape)).shape[1:] != shape:
        raise ValueError(f"it is for images that are measured at their training size, {shape}")


def encode(model: Any, images: Tensor) -> Tensor:
    """Return the codes (n, d) of uint8 images, on the device of the model.

    Raises:
        UsageError: the model does not encode, or these are not images.
    """
    if not hasattr(model, "encode") or images.dtype != torch.uint8:
        raise UsageError(
            "The metrics 'encoding-accuracy' and 'reconstruction' need a model that encodes images, such as bigan."
        )
    with torch.no_grad():
        return torch.cat([model.encode(from_bytes(part).to(model.device)) for part in images.split(BATCH)])


def same_label(points: Tensor, labels: Tensor) -> float:
    """Return the share of points (n, d) whose label (n,) is that of their nearest neighbor."""
    right = 0
    for start in range(0, len(points), BATCH):  # in parts: all distances at once take too much memory
        part = slice(start, start + BATCH)
        distance = torch.cdist(points[part], points)  # (m, n)
        distance.diagonal(start).fill_(torch.inf)  # from itself
        right += int((labels[distance.argmin(1)] == labels[part]).sum())
    return right / len(points)
