"""The GAN with spectral normalization.

Paper: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
    https://arxiv.org/abs/1802.05957, section 2.1, algorithm 1 and appendix B.4
    every layer of D has the weight W / sigma(W), with sigma(W) its largest singular value, so that D's slope is bounded
Departures: the sizes follow the dataset; channels double with each halving, although the paper keeps them constant for
    32x32; D ends in one block that does not downsample (the paper: two); real and generated samples pass through D
    together, so that a turn takes one power iteration, not two.
"""

from collections.abc import Mapping

from ganzoo_networks.conv import DiscriminatorWidth, GeneratorWidth
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import Field, LatentDim, LatentModel
from ganzoo_sngan.networks import Generator, Trunk, init_xavier


class SNGAN(LatentModel):
    """Residual networks for images of 8 pixels or more, each side 4, 5, 6 or 7 times a power of two."""

    batch_dependent = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 128,
        generator_width: GeneratorWidth = 32,
        discriminator_width: DiscriminatorWidth = 32,
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, generator_width)
        trunk = Trunk(shape, discriminator_width)
        head = nn.Linear(trunk.features, 1)
        init_xavier(head)
        self.discriminator = nn.Sequential(trunk, spectral_norm(head))
