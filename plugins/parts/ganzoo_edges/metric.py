"""How far translations are from the truth."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganzoo import Metric, Samples, Score, UsageError
from ganzoo.images import from_bytes


class L1(Metric):
    """``l1``: the mean absolute difference between each generated image and the real one with the same edges, over all
    pixels, where black to white is 1. Its details hold the result of returning the condition unchanged, if that has the
    shape of the image.

    For models with condition fields: only their samples belong to a real one.
    """

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        if fake.model is None or not fake.model.condition_fields:
            raise UsageError(
                "The metric 'l1' compares an image with the real one that has the same edges: it is for image-to-image "
                "models, such as pix2pix."
            )
        truth = _signed(real.values)
        conditions = {name: fake.extras[name] for name in fake.model.condition_fields}
        details = {name: l1_distance(truth, value) for name, value in conditions.items() if value.shape == truth.shape}
        return {"l1": Score(l1_distance(_signed(fake.values), truth), "lower", details)}


def l1_distance(left: Tensor, right: Tensor) -> float:
    """Return the mean absolute difference of images (n, C, H, W) in [-1, 1], where the full range counts as 1."""
    return (left.double() - right.double()).abs().mean().item() / 2


def _signed(values: Tensor) -> Tensor:
    return from_bytes(values) if values.dtype == torch.uint8 else values
