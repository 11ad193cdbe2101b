"""The energy-based GAN.

Paper: Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", 2017, https://arxiv.org/abs/1609.03126,
    section 2.3
    D(x) = |Dec(Enc(x)) - x|: the energy of x is low if the autoencoder can reconstruct it
Departures: the networks are DCGAN's; the energy is the mean squared error per pixel, not its norm, so that one margin
    suits images of any size; z is normal, not uniform.
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_networks.conv import DiscriminatorWidth, Generator, GeneratorWidth, Trunk, init_weights
from torch import Tensor, nn

from ganzoo import Batch, Field, LatentDim, LatentModel, Option


class EBGAN(LatentModel):
    """DCGAN's generator, and an autoencoder made of DCGAN's two networks in place of a discriminator."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 64,
        code_dim: Annotated[int, Option("Dimension of the autoencoder's code", ge=1, le=65536)] = 32,
        generator_width: GeneratorWidth = 32,
        discriminator_width: DiscriminatorWidth = 16,
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, generator_width)
        self.discriminator = Autoencoder(shape, discriminator_width, code_dim)

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        """Return ``score`` (n, 1), the energy, and ``code`` (n, code_dim)."""
        code, reconstruction = self.discriminator(sample)
        return {"score": (reconstruction - sample).square().flatten(1).mean(1, keepdim=True), "code": code}


class Autoencoder(nn.Module):
    """Images (n, *shape) -> codes (n, code_dim) and reconstructions (n, *shape)."""

    def __init__(self, shape: tuple[int, ...], width: int, code_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk(shape, width, "batch")
        self.code = nn.Linear(self.trunk.features, code_dim)
        self.decoder = Generator(code_dim, shape, width)
        init_weights(self.code)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        code = self.code(self.trunk(image))
        return code, self.decoder(code)
