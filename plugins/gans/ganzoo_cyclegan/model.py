"""CycleGAN: images from sources and sources from images, learned from unpaired examples.

Paper: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    https://arxiv.org/abs/1703.10593, section 4 and appendix 7.2
    G: sources -> images, F: images -> sources          D_Y scores images, D_X scores sources, both patch by patch
    G and F: convolutions that halve, residual blocks, convolutions that double, with instance norm
Departures: images are small, so G and F halve them once, not twice, have no layer of features at full size, and 3
    residual blocks, not 6 or 9; zeros at the borders, not reflections; patches of 18x18, not 70x70.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from ganzoo_networks.conv import init_weights, norm_layer
from ganzoo_networks.patch import PatchDiscriminator, source_channels
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option


class CycleGAN(Model):
    """Two generators and two discriminators, for images and a ``source`` of the same height and width, which need not
    be pairs. Each side must be at least 8 pixels, and 4, 5, 6 or 7 times a power of two."""

    players: ClassVar = {
        "discriminators": ("discriminator", "discriminator_back"),
        "generators": ("generator", "generator_back"),
    }
    condition_fields = ("source",)
    metrics = ("l1", "l1-back")
    batch_dependent = False
    augmentable = False  # two discriminators
    ema_networks = ("generator", "generator_back")

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        width: Annotated[int, Option("Channels of the generators", ge=1)] = 32,
        blocks: Annotated[int, Option("Residual blocks of each generator", ge=0)] = 3,
        discriminator_width: Annotated[int, Option("Channels of the discriminators' first layer", ge=1)] = 32,
    ) -> None:
        super().__init__(fields)
        source, image = source_channels(fields, self.target), fields[self.target].shape[0]
        self.generator = ResnetGenerator(source, image, width, blocks)
        self.discriminator = PatchDiscriminator(discriminator_width, image)
        self.generator_back = ResnetGenerator(image, source, width, blocks)
        self.discriminator_back = PatchDiscriminator(discriminator_width, source)

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        return {}  # no noise: an image is a function of its source

    def generate(self, latent: Batch) -> Tensor:
        image: Tensor = self.generator(latent["source"])  # (n, channels, H, W) -> (n, C, H, W)
        return image

    def translate_back(self, image: Tensor) -> Tensor:
        """Return sources (n, channels, H, W) in [-1, 1] made from images (n, C, H, W)."""
        source: Tensor = self.generator_back(image)
        return source

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, k), one per patch

    def discriminate_back(self, source: Tensor) -> Batch:
        """Return what the other discriminator says about sources (n, channels, H, W): ``score`` (n, k), one per
        patch."""
        return {"score": self.discriminator_back(source)}

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        real, source = fixed[self.target], fixed["source"]
        fake, back = self.generate(fixed), self.translate_back(real)
        cycles = {"cycle": self.generate({"source": back}), "cycle-source": self.translate_back(fake)}
        return {"real": real, "source": source, "fake": fake, "fake-source": back, **cycles}


class ResnetGenerator(nn.Module):
    """Images (n, before, H, W) -> images (n, after, H, W) in [-1, 1], H and W even."""

    def __init__(self, before: int, after: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False)),
            *(ResBlock(width) for _ in range(blocks)),
            nn.ConvTranspose2d(width, after, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        init_weights(self)

    def forward(self, image: Tensor) -> Tensor:
        translated: Tensor = self.layers(image)
        return translated


class ResBlock(nn.Module):
    """Two convolutions and a skip connection: (n, channels, H, W) -> the same shape. He et al., 2016; without the last
    ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.layers = nn.Sequential(*_normalized(first), second, norm_layer("instance", channels))

    def forward(self, features: Tensor) -> Tensor:
        total: Tensor = features + self.layers(features)
        return total


def _normalized(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    """Return the convolution, followed by instance norm and ReLU."""
    return convolution, norm_layer("instance", convolution.out_channels), nn.ReLU()
