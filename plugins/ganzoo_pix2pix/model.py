"""pix2pix: an image from its edges (or its labels, its sketch, its photograph by day).

Paper: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
    https://arxiv.org/abs/1611.07004, equations 1 and 4
    G* = arg min_G max_D  E[log D(x, y)] + E[log(1 - D(x, G(x)))] + lambda E|y - G(x)|      x: edges, y: image
    G: a U-Net          D: scores patches of the pair (x, y)          lambda = 100: the penalty ``l1``
Departures: there is no noise. The paper found that G ignores z, and keeps dropout on when it tests, which changes
    little; here dropout is for training alone, so that an image is a function of its edges. Instance norm in D; and
    those of networks.py.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from ganzoo_dcgan.networks import halvings
from torch import Tensor

from ganzoo import Batch, Field, Model, Option
from ganzoo_pix2pix.networks import Patches, UNet


class Pix2Pix(Model):
    """A U-Net and a discriminator of patches, for images that come with ``edges`` of the same height and width: 8
    pixels or more, each side 4, 5, 6 or 7 times a power of two."""

    given = ("edges",)
    metrics = ("l1",)
    across = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        width: Annotated[int, Option("Channels next to the image; further away up to 8 times as many", ge=1)] = 32,
        discriminator_width: Annotated[int, Option("Channels of the discriminator's first layer", ge=1)] = 32,
        dropout: Annotated[
            float, Option("Share of the generator's innermost features blanked out in training", ge=0, lt=1)
        ] = 0.5,
    ) -> None:
        super().__init__(fields)
        channels = check_pair(fields, self.target)
        shape = fields[self.target].shape
        self.generator = UNet(shape, width, channels, dropout)
        self.discriminator = Patches(discriminator_width, shape[0] + channels)

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {}  # no noise: see the departures

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["edges"])  # (n, channels, H, W) -> (n, C, H, W)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.discriminator(torch.cat([given["edges"], sample], dim=1))}  # (n, k), one for each patch

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        return {"real": fixed[self.target], "edges": fixed["edges"], "fake": self.generate(fixed)}


def check_pair(fields: Mapping[str, Field], target: str) -> int:
    """Return the channels of the edges.

    Raises:
        ValueError: the images do not fit (see ``halvings``), or the edges are of another height or width.
    """
    image, edges = fields[target].shape, fields["edges"].shape
    halvings(image)
    if len(edges) != 3 or edges[1:] != image[1:]:
        raise ValueError(f"edges of the same height and width as the image only, not {edges} with images {image}")
    return edges[0]
