"""A base class for feature extractors, which fills in what torch-fidelity asks of every one."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase


class FeatureExtractor(FeatureExtractorBase):  # type: ignore[misc]  # torch-fidelity has no types
    """A feature extractor. A subclass sets ``feature_layers`` and implements ``layers``.

    Attributes:
        feature_layers: feature kind ("fid", "kid", "prc", "isc") -> the layer that provides it.
        image_size: (height, width) of images that it accepts; used for compiling only.
        sha256: of its weights; empty if it has none.
    """

    feature_layers: ClassVar[Mapping[str, str]]
    image_size: ClassVar[tuple[int, int]] = (64, 64)
    sha256: ClassVar[str] = ""

    def __init__(
        self,
        name: str,
        features_list: list[str],
        feature_extractor_weights_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """A subclass with weights loads those of the file, if one is given, and does not pass it on.

        Raises:
            ValueError: weights were given to an extractor that has none.
        """
        if feature_extractor_weights_path:
            raise ValueError(f"the extractor {name!r} has no weights: leave out --weights")
        super().__init__(name, features_list)

    def layers(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return layer -> features (N, d) of uint8 images (N, 3, H, W).

        Raises:
            ValueError: images of an unsupported type or size.
        """
        raise NotImplementedError

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:  # noqa: A002 - the name in the base class
        found = self.layers(input)
        return tuple(found[layer] for layer in self.features_list)

    @classmethod
    def get_provided_features_list(cls) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cls.feature_layers.values()))

    @classmethod
    def get_default_feature_layer_for_metric(cls, metric: str) -> str:
        return cls.feature_layers[metric]

    @staticmethod
    def can_be_compiled() -> bool:
        return True

    @classmethod
    def get_dummy_input_for_compile(cls) -> Tensor:
        return torch.zeros(1, 3, *cls.image_size, dtype=torch.uint8)
