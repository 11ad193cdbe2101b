"""Features of images of any size, without a network: the image averaged down to 16 x 16 pixels.

What it sees is layout and colour, not detail. Its distances compare across sizes, and with nothing that was published.
"""

import torch
from torch.nn.functional import interpolate
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

SIDE = 16
WIDTH = 3 * SIDE * SIDE


class Thumbnail(FeatureExtractorBase):
    """The one layer "pixels", as torch-fidelity wants an extractor."""

    sha256 = "none: no weights"

    def __init__(self, name, features_list, feature_extractor_weights_path=None, **kwargs):
        """Make it.

        Raises:
            ValueError: weights were given, which it has not.
        """
        super().__init__(name, features_list)
        if feature_extractor_weights_path:
            raise ValueError("the extractor 'thumbnail' has no weights: leave out --weights")

    @staticmethod
    def get_provided_features_list():
        return ("pixels",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return {"fid": "pixels", "kid": "pixels", "prc": "pixels"}[metric]

    @staticmethod
    def can_be_compiled():
        return True

    @staticmethod
    def get_dummy_input_for_compile():
        return torch.zeros(1, 3, 64, 64, dtype=torch.uint8)

    def forward(self, input):  # noqa: A002 - as the base class calls it
        """Return features (N, 768) in [-1, 1] of uint8 images (N, 3, H, W) of any size, as a tuple of one."""
        values = input.float().div(127.5).sub(1.0)
        small = interpolate(values, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        return (small.flatten(1),)
