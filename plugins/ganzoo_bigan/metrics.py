"""What the codes of real images are good for: telling what they show, and making them again.

Paper: Donahue et al., "Adversarial Feature Learning", 2017, https://arxiv.org/abs/1605.09782, table 1 (the nearest
    neighbour's label on MNIST) and figure 2 (reconstructions)
Departure: both look at the real samples of the evaluation, which are training images unless told otherwise
    (--set data.split=test); and a neighbour is looked for among these, where the paper has all training images.
"""

import torch

from ganzoo import Metric, Score, UsageError
from ganzoo.images import from_bytes

BATCH = 512


class EncodingAccuracy(Metric):
    """``encoding-accuracy``: the share of real samples whose label is that of the nearest other one, by the Euclidean
    distance of their codes E(x). Nobody told the encoder the labels. It grows with the number of samples; kept with it
    is the same share by the distance of ``pixels``.

    For models that ``encode``, and data with labels.
    """

    def check(self, data):
        check_size(data)
        if "label" not in data.fields or not data.fields["label"].classes:
            raise ValueError("it is for data with labels")

    def measure(self, fake, real):
        label, found = real.given["label"], codes(fake.model, real.values)
        pixels = {"pixels": neighbours(real.values.flatten(1).float(), label)}
        return {"encoding-accuracy": Score(neighbours(found, label), "higher", pixels)}


class Reconstruction(Metric):
    """``reconstruction-l1``: the mean absolute difference between real images x and G(E(x)), over all pixels, the whole
    range being 1. For models that ``encode`` images to their latent ``z``."""

    def check(self, data):
        check_size(data)

    def measure(self, fake, real):
        images, model = from_bytes(real.values), fake.model
        with torch.no_grad():
            parts = [model.generate({"z": part}).cpu() for part in codes(model, real.values, keep=True).split(BATCH)]
        return {"reconstruction-l1": Score((torch.cat(parts) - images).double().abs().mean().item() / 2, "lower")}


def check_size(data):
    """Refuse data whose images are measured at another size than the encoder sees.

    Raises:
        ValueError: says so.
    """
    shape = next(iter(data.fields.values())).shape
    if data.measured(torch.zeros(1, *shape)).shape[1:] != shape:
        raise ValueError(f"it is for images that are measured as they are trained with, {shape}")


def codes(model, images, keep=False):
    """Return the codes (n, d) of uint8 images, on the host, or on the model's device to ``keep`` them there.

    Raises:
        UsageError: the model does not encode, or these are no images.
    """
    if not hasattr(model, "encode") or images.dtype != torch.uint8:
        raise UsageError("The metrics of codes are for models that encode images, such as bigan.")
    device = next(model.parameters()).device
    with torch.no_grad():
        found = torch.cat([model.encode(from_bytes(part).to(device)) for part in images.split(BATCH)])
    return found if keep else found.cpu()


def neighbours(points, labels):
    """Return the share of points (n, d) whose label (n,) is that of their nearest other point."""
    right = 0
    for start in range(0, len(points), BATCH):  # part by part: all distances at once take too much memory
        some = slice(start, start + BATCH)
        distance = torch.cdist(points[some], points)  # (m, n)
        distance.diagonal(start).fill_(torch.inf)  # from itself
        right += (labels[distance.argmin(1)] == labels[some]).sum().item()
    return right / len(points)
