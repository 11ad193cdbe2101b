"""The GAN with spectral normalisation.

Paper: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
    https://arxiv.org/abs/1802.05957, section 2.1, algorithm 1 and appendix B.4
    every layer of D has the weight W / sigma(W), with sigma(W) its largest singular value, so that D's slope is bounded
Departures: the sizes follow the data; channels double as the image is halved at 28x28 as well, where the paper has
    as many throughout for 32x32; D ends in one block that does not halve, there in two; real samples and fakes pass D
    at once, so that a move takes one power iteration, not two.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import Batch, Field, Model, Option
from ganzoo_sngan.networks import Body, Generator


class SNGAN(Model):
    """Residual networks for images of 8 pixels or more, each side 4, 5, 6 or 7 times a power of two."""

    across = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 128,
        generator_width: Annotated[
            int, Option("The generator's channels at full size; up to 8 times as many", ge=1)
        ] = 32,
        discriminator_width: Annotated[int, Option("The discriminator's channels, likewise", ge=1)] = 32,
    ) -> None:
        super().__init__(fields)
        self.latent_dim = latent_dim
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, generator_width)
        body = Body(shape, discriminator_width)
        head = nn.Linear(body.features, 1)
        nn.init.xavier_uniform_(head.weight)
        nn.init.zeros_(head.bias)
        self.discriminator = nn.Sequential(body, spectral_norm(head))

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {"z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"])  # (n, latent_dim) -> (n, C, H, W)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, C, H, W) -> (n, 1)
