"""Features of images of any size without a network: what an image looks like from afar, and how much detail it has.

Source: Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983,
    https://doi.org/10.1109/TCOM.1983.1095851
    From afar: the image averaged down to 16x16 pixels. Detail: the three finest bands of its Laplacian pyramid (what is
    lost when the image is halved and enlarged again); of each, the mean absolute value in 4x4 cells and each channel.
"""

from collections.abc import Mapping
from math import log
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ganzoo import FeatureExtractor
from ganzoo.images import from_bytes

SIDE, BANDS, CELLS = 16, 3, 4
FAINT = 0.01  # detail far below this looks like none


class Pyramid(FeatureExtractor):
    """The extractor ``pyramid`` with one layer, "layout" (N, 912): 768 values in [-1, 1] and 144 from 0 to about 2.3.
    Distances compare for images of one size only, and not with published numbers."""

    feature_layers: ClassVar[Mapping[str, str]] = dict.fromkeys(("fid", "kid", "prc"), "layout")

    def layers(self, images: Tensor) -> Mapping[str, Tensor]:
        image = from_bytes(images)
        found = [_resized(image, (SIDE, SIDE))]
        for _ in range(BANDS):
            height, width = image.shape[2:]
            smaller = _resized(image, (max(1, height // 2), max(1, width // 2)))
            found.append(_amount((image - _resized(smaller, (height, width))).abs()))
            image = smaller
        return {"layout": torch.cat([part.flatten(1) for part in found], 1)}


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def _amount(detail: Tensor) -> Tensor:
    """Return how much detail (N, C, H, W) there is in each cell, (N, C, 4, 4), on a scale where twice as much is a step
    of the same size everywhere; 0 for none."""
    return (adaptive_avg_pool2d(detail, CELLS).add(FAINT).log() - log(FAINT)) / 2
