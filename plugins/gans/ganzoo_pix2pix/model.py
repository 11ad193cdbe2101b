"""pix2pix: an image from its source: its edges, its labels, its sketch, the same place by day.

Paper: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
    https://arxiv.org/abs/1611.07004, equations 1 and 4
    G* = arg min_G max_D  E[log D(x, y)] + E[log(1 - D(x, G(x)))] + lambda E|y - G(x)|      x: source, y: image
    G: a U-Net          D: scores patches of the pair (x, y)          lambda = 100: the penalty ``l1``
Departures: there is no noise. The paper found that G ignores z, and keeps dropout on at test time, which changes
    little; here dropout is only for training, so that an image is a function of its source. D uses instance norm and
    18x18 patches instead of 70x70, because the images are smaller. See also the departures in networks.py.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from ganzoo_networks.conv import Width
from ganzoo_networks.patch import PatchDiscriminator, source_channels
from torch import Tensor

from ganzoo import Batch, Field, Model, Option
from ganzoo_pix2pix.networks import UNet


class Pix2Pix(Model):
    """A U-Net and a discriminator of patches, for pairs of an image and a ``source`` of the same height and width. Each
    side must be at least 8 pixels, and 4, 5, 6 or 7 times a power of two."""

    condition_fields = ("source",)
    metrics = ("l1",)
    batch_dependent = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        width: Width = 32,
        discriminator_width: Annotated[int, Option("Channels of the discriminator's first layer", ge=1)] = 32,
        dropout: Annotated[
            float, Option("Share of the generator's innermost features dropped in training", ge=0, lt=1)
        ] = 0.5,
    ) -> None:
        super().__init__(fields)
        if not fields["source"].paired:
            raise ValueError(
                "it needs pairs, but the 'source' of this dataset does not belong to its image. A model that learns "
                "without pairs, such as cyclegan, can use this dataset"
            )
        channels, shape = source_channels(fields, self.target), fields[self.target].shape
        self.generator = UNet(shape, width, channels, dropout)
        self.discriminator = PatchDiscriminator(discriminator_width, shape[0] + channels)

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        return {}  # no noise: see the departures

    def generate(self, latent: Batch) -> Tensor:
        image: Tensor = self.generator(latent["source"])  # (n, channels, H, W) -> (n, C, H, W)
        return image

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        pair = torch.cat([condition["source"], sample], dim=1)
        return {"score": self.discriminator(pair)}  # (n, k), one per patch

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        return {"real": fixed[self.target], "source": fixed["source"], "fake": self.generate(fixed)}
