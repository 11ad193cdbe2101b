"""How far the other direction of a translation is from the truth."""

from collections.abc import Mapping
from typing import Any

import torch
from ganzoo_edges.metric import check_paired, l1_distance

from ganzoo import Dataset, Metric, Samples, Score
from ganzoo.images import from_bytes

BATCH = 256


class L1Back(Metric):
    """``l1-back``: the mean absolute difference between what a model makes of each real image (its source)
    and the truth, over all pixels, where black to white is 1. Its details hold the result of returning the image
    unchanged. ``l1`` is the other direction.

    For models that ``translate_back``, and datasets of pairs.
    """

    required_methods = ("condition_fields", "translate_back")

    def check(self, dataset: Dataset) -> None:
        check_paired(dataset)

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        model: Any = fake.model
        truth, images = real.extras[model.condition_fields[0]], from_bytes(real.values)  # (n, *shape), in [-1, 1]
        with torch.no_grad():
            made = torch.cat([model.translate_back(part.to(model.device)).cpu() for part in images.split(BATCH)])
        details = {"image": l1_distance(images, truth)} if images.shape == truth.shape else {}
        return {"l1-back": Score(l1_distance(made, truth), "lower", details)}
