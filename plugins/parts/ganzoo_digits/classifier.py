"""A small convolutional classifier of handwritten digits, and the feature extractor ``mnist`` made from it.

``python -m ganzoo_digits.train`` trained ``classifier.safetensors`` on MNIST's training digits only.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load
from torch import Tensor, nn

from ganzoo import FeatureExtractor, GanzooError
from ganzoo.images import from_bytes

WEIGHTS = Path(__file__).with_name("classifier.safetensors")
CLASSES = 10


class DigitClassifier(nn.Module):
    """Four convolutions and two linear layers, 187,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(  # (N, 1, 28, 28)
            *_convolution(1, 24, 5, pool=True),  # (N, 24, 12, 12)
            *_convolution(24, 48, 3, padding=1),  # (N, 48, 12, 12)
            *_convolution(48, 64, 3, pool=True),  # (N, 64, 5, 5)
            *_convolution(64, 128, 3),  # (N, 128, 3, 3)
            nn.Flatten(),
            nn.Linear(128 * 3 * 3, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, CLASSES)
        self.to(memory_format=torch.channels_last)  # about a third faster on a CPU

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return nonnegative features (N, 64) and logits (N, 10) of images (N, 1, 28, 28) in [-1, 1]."""
        features = self.body(image)
        return features, self.head(features)


class MnistExtractor(FeatureExtractor):
    """The extractor ``mnist`` with the layers "64" (the classifier's features) and "logits"; weights may be those of
    any file that ``ganzoo_digits.train`` wrote.

    Raises:
        GanzooError: the bundled weights are missing or damaged.
    """

    feature_layers: ClassVar[Mapping[str, str]] = {"fid": "64", "kid": "64", "prc": "64", "isc": "logits"}
    image_size = (28, 28)
    sha256 = "954aa8695bc59f8bb040dbb048a694709e57542c9ef7a7b992fcc8c71938de01"

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name, features_list)
        self.classifier = DigitClassifier()
        path = feature_extractor_weights_path
        self.classifier.load_state_dict(load(Path(path).read_bytes() if path else _bundled(self.sha256)))
        self.eval().requires_grad_(False)

    def layers(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return layer -> (N, d) of uint8 images (N, 3, 28, 28), of which the mean over the channels is classified."""
        if images.dtype != torch.uint8 or images.shape[1:] != (3, *self.image_size):
            raise ValueError(f"it accepts uint8 images of 28x28 pixels, not {images.dtype} {tuple(images.shape[1:])}.")
        features, logits = self.classifier(from_bytes(images).mean(dim=1, keepdim=True))
        return {"64": features, "logits": logits}


def _convolution(channels: int, out: int, kernel: int, padding: int = 0, pool: bool = False) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out, kernel, padding=padding, bias=False),
        *([nn.MaxPool2d(2)] if pool else []),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    ]


def _bundled(sha256: str) -> bytes:
    """Return the bytes of the bundled weights. Damaged ones would give meaningless numbers."""
    try:
        content = WEIGHTS.read_bytes()
    except OSError as error:
        raise GanzooError(f"Cannot read {WEIGHTS}: {error.strerror}. Install torch-ganzoo again.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise GanzooError(f"{WEIGHTS} is damaged: it has the wrong SHA-256. Install torch-ganzoo again.")
    return content
