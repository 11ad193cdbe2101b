"""A small convolutional classifier of handwritten digits, and the feature extractor ``mnist`` made of it.

``python -m ganzoo_digits.train`` trained ``classifier.safetensors``, on MNIST's training digits alone.
"""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from ganzoo import GanzooError
from ganzoo.images import from_bytes

WEIGHTS = Path(__file__).with_name("classifier.safetensors")
SIZE = (28, 28)
CLASSES = 10
_LAYERS = {"fid": "64", "kid": "64", "prc": "64", "isc": "logits"}


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
        self.to(memory_format=torch.channels_last)  # faster on a CPU, by a third or so

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 64), none below zero, and logits (N, 10) of images (N, 1, 28, 28) in [-1, 1]."""
        features = self.body(image)
        return features, self.head(features)


class MnistExtractor(FeatureExtractorBase):
    """The classifier as torch-fidelity wants an extractor: layers "64" (its features) and "logits"."""

    sha256 = "954aa8695bc59f8bb040dbb048a694709e57542c9ef7a7b992fcc8c71938de01"
    """Of the file that is shipped."""

    def __init__(self, name, features_list, feature_extractor_weights_path=None, **kwargs):
        """Load the shipped weights, or those of another file that ``ganzoo_digits.train`` wrote.

        Raises:
            GanzooError: the shipped file is missing or damaged.
        """
        super().__init__(name, features_list)
        self.classifier = DigitClassifier()
        path = feature_extractor_weights_path
        self.classifier.load_state_dict(load(Path(path).read_bytes() if path else _shipped(self.sha256)))
        self.eval().requires_grad_(False)

    @staticmethod
    def get_provided_features_list():
        return "64", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return _LAYERS[metric]

    @staticmethod
    def can_be_compiled():
        return True

    @staticmethod
    def get_dummy_input_for_compile():
        return torch.zeros(1, 3, *SIZE, dtype=torch.uint8)

    def forward(self, input):  # noqa: A002 - as the base class calls it
        """Return the requested layers, (N, 64) or (N, 10) each, of uint8 images (N, 3, 28, 28). The mean over the
        channels is looked at, which of a grey image is the image.

        Raises:
            ValueError: images of another type or size.
        """
        if input.dtype != torch.uint8 or input.dim() != 4 or input.shape[1] != 3 or input.shape[2:] != SIZE:
            raise ValueError(f"it takes uint8 images of 28x28 pixels, not {input.dtype} {tuple(input.shape[1:])}.")
        grey = from_bytes(input).mean(dim=1, keepdim=True)  # (N, 1, 28, 28)
        found = dict(zip(self.get_provided_features_list(), self.classifier(grey), strict=True))
        return tuple(found[layer] for layer in self.features_list)


def _convolution(channels, out, kernel, padding=0, pool=False):
    return [
        nn.Conv2d(channels, out, kernel, padding=padding, bias=False),
        *([nn.MaxPool2d(2)] if pool else []),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    ]


def _shipped(sha256):
    """Return the bytes of the shipped file. A damaged one would give numbers that mean nothing."""
    try:
        content = WEIGHTS.read_bytes()
    except OSError as error:
        raise GanzooError(f"Cannot read {WEIGHTS}: {error.strerror}. Install torch-ganzoo again.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise GanzooError(f"{WEIGHTS} is damaged: it has the wrong SHA-256. Install torch-ganzoo again.")
    return content
