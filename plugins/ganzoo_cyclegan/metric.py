"""How far the other direction of a translation is from the truth."""

import torch
from ganzoo_pix2pix.metric import distance

from ganzoo import Metric, Score, UsageError
from ganzoo.images import from_bytes

BATCH = 256


class L1Back(Metric):
    """``l1-back``: the mean absolute difference between what a model makes of each real image (edges, say) and what
    really belongs to it, over all pixels, black to white being 1. Kept with it: what one would get by returning the
    image as it is. ``l1`` is the other direction.

    For models that ``translate_back``, and data in which the two belong together.
    """

    def measure(self, fake, real):
        model = fake.model
        if not hasattr(model, "translate_back"):
            raise UsageError("The metric 'l1-back' is for models that translate both ways, such as cyclegan.")
        (name, *_), device = model.given, next(model.parameters()).device
        truth, images = real.given[name], from_bytes(real.values)  # (n, *shape) each, in [-1, 1]
        with torch.no_grad():
            made = torch.cat([model.translate_back(part.to(device)).cpu() for part in images.split(BATCH)])
        details = {"image": distance(images, truth)} if images.shape == truth.shape else {}
        return {"l1-back": Score(distance(made, truth), "lower", details)}
