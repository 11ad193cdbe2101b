"""How far translations are from the truth."""

import torch

from ganzoo import Metric, Score, UsageError
from ganzoo.images import from_bytes


class L1(Metric):
    """``l1``: the mean absolute difference between each generated image and the real one that belongs to it (the one
    with the same edges), over all pixels, black to white being 1. Kept with it: what one would get by returning as it
    is that which the image was made from, where it has the same shape.

    For models that are given something of the real example; there is no real image that any other sample belongs to.
    """

    def measure(self, fake, real):
        if fake.model is None or not fake.model.given:
            raise UsageError(
                "The metric 'l1' compares an image with the real one that has the same edges: it is for models that "
                "make images from images, such as pix2pix."
            )
        details = {
            name: distance(_signed(real.values), fake.given[name])
            for name in fake.model.given
            if fake.given[name].shape == real.values.shape
        }
        return {"l1": Score(distance(_signed(fake.values), _signed(real.values)), "lower", details)}


def distance(left, right):
    """Return the mean absolute difference of images (n, C, H, W) in [-1, 1], the whole range being 1."""
    return (left.double() - right.double()).abs().mean().item() / 2


def _signed(values):
    return from_bytes(values) if values.dtype == torch.uint8 else values
