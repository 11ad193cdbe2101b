"""Features of images of any size without a network: the image averaged down to 16x16 pixels.

They describe layout and color, not detail. Distances compare across image sizes, but not with published numbers.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import interpolate

from ganzoo import FeatureExtractor
from ganzoo.images import from_bytes

SIDE = 16


class Thumbnail(FeatureExtractor):
    """The extractor ``thumbnail`` with one layer, "pixels" (N, 768) in [-1, 1]."""

    feature_layers: ClassVar[Mapping[str, str]] = {"fid": "pixels", "kid": "pixels", "prc": "pixels"}

    def layers(self, images: Tensor) -> Mapping[str, Tensor]:
        small = interpolate(from_bytes(images), (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        return {"pixels": small.flatten(1)}
