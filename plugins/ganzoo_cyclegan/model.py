"""CycleGAN: images from edges and edges from images, learned from some of either that do not belong together.

Paper: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    https://arxiv.org/abs/1703.10593, section 4 and appendix 7.2
    G: edges -> images, F: images -> edges          D_Y judges images, D_X judges edges, both patch by patch
    G and F: convolutions that halve, residual blocks, convolutions that double, with instance norm
Departures: images are small, so G and F halve them once, not twice, have no layer of features at full size, and 3
    residual blocks, not 6 or 9; zeros at the borders, not reflections; patches of 18x18, not 70x70.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from ganzoo_dcgan.networks import initialise, normalisation
from ganzoo_pix2pix.model import check_pair
from ganzoo_pix2pix.networks import Patches
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option


class CycleGAN(Model):
    """Two translators and two critics, for images that come with ``edges`` of the same height and width (not theirs: no
    pair is ever looked at): 8 pixels or more, each side 4, 5, 6 or 7 times a power of two."""

    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminators": ("critic", "critic_back"),
        "generators": ("generator", "generator_back"),
    }
    given = ("edges",)
    metrics = ("l1", "l1-back")
    across = False
    averaged = ("generator", "generator_back")

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        width: Annotated[int, Option("Channels of the generators", ge=1)] = 32,
        blocks: Annotated[int, Option("Residual blocks of either generator", ge=0)] = 3,
        discriminator_width: Annotated[int, Option("Channels of the critics' first layer", ge=1)] = 32,
    ) -> None:
        super().__init__(fields)
        edges, image = check_pair(fields, self.target), fields[self.target].shape[0]
        self.generator, self.critic = Translator(edges, image, width, blocks), Patches(discriminator_width, image)
        self.generator_back = Translator(image, edges, width, blocks)
        self.critic_back = Patches(discriminator_width, edges)

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {}  # no noise: an image is a function of its edges

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["edges"])  # (n, channels, H, W) -> (n, C, H, W)

    def translate_back(self, image: Tensor) -> Tensor:
        """Return edges (n, channels, H, W) in [-1, 1] of images (n, C, H, W)."""
        return self.generator_back(image)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.critic(sample)}  # (n, k), one for each patch

    def judge_back(self, edges: Tensor) -> Batch:
        """Return the other critic's opinion of edges (n, channels, H, W): ``score`` (n, k), one for each patch."""
        return {"score": self.critic_back(edges)}

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        real, edges = fixed[self.target], fixed["edges"]
        fake, back = self.generate(fixed), self.translate_back(real)
        around = {"cycle": self.generate({"edges": back}), "cycle-edges": self.translate_back(fake)}
        return {"real": real, "edges": edges, "fake": fake, "fake-edges": back, **around}


class Translator(nn.Module):
    """Images (n, before, H, W) -> images (n, after, H, W) in [-1, 1], H and W even."""

    def __init__(self, before: int, after: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normed(nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False)),
            *(Residual(width) for _ in range(blocks)),
            nn.ConvTranspose2d(width, after, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class Residual(nn.Module):
    """(n, channels, H, W) -> the same, and what two convolutions add to it. He et al., 2016; without a last ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.layers = nn.Sequential(*_normed(first), second, normalisation("instance", channels))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _normed(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return convolution, normalisation("instance", convolution.out_channels), nn.ReLU()
