"""How far translations are from the truth."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganzoo import Dataset, Metric, Samples, Score
from ganzoo.images import from_bytes


class L1(Metric):
    """``l1``: the mean absolute difference between each generated image and the real one with the same source, over all
    pixels, where black to white is 1. Its details hold the result of returning the condition unchanged, if that has the
    shape of the image.

    For models with condition fields, whose samples belong to real ones, and for datasets of pairs.
    """

    required_methods = ("condition_fields",)

    def check(self, dataset: Dataset) -> None:
        check_paired(dataset)

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        assert fake.model
        truth = _signed(real.values)
        conditions = {name: fake.extras[name] for name in fake.model.condition_fields}
        details = {name: l1_distance(truth, value) for name, value in conditions.items() if value.shape == truth.shape}
        return {"l1": Score(l1_distance(_signed(fake.values), truth), "lower", details)}


def check_paired(dataset: Dataset) -> None:
    """Refuse a dataset whose conditions do not belong to its targets.

    Raises:
        ValueError: always then.
    """
    if unpaired := [name for name, field in dataset.fields.items() if not field.paired]:
        raise ValueError(f"its {unpaired[0]!r} does not belong to its {dataset.target}, so there is no truth")


def l1_distance(left: Tensor, right: Tensor) -> float:
    """Return the mean absolute difference of images (n, C, H, W) in [-1, 1], where the full range counts as 1."""
    return (left.double() - right.double()).abs().mean().item() / 2


def _signed(values: Tensor) -> Tensor:
    return from_bytes(values) if values.dtype == torch.uint8 else values
