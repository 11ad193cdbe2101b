"""The deep convolutional GAN.

Paper: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    2016, https://arxiv.org/abs/1511.06434, section 3
    G(z): z -> a small image with many channels -> transposed convolutions of stride 2, batch norm, ReLU -> tanh
    D(x): convolutions of stride 2, batch norm, LeakyReLU -> one linear layer, a logit
The critic of WGAN-GP is the same with norm = "layer" or "none": Gulrajani et al., "Improved Training of Wasserstein
    GANs", 2017, https://arxiv.org/abs/1704.00028, section 4 ("No critic batch normalization")
Departures: z is normal, not uniform; the discriminator ends in a logit, and the sigmoid is part of the loss. See also
    the departures in ganzoo_networks/conv.py.
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_networks.conv import Generator, Norm, Trunk, Width, init_weights
from torch import nn

from ganzoo import Field, LatentDim, LatentModel, Option


class DCGAN(LatentModel):
    """Convolutional networks for images of 8 pixels or more, each side 4, 5, 6 or 7 times a power of two."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 100,
        width: Width = 64,
        discriminator_width: Annotated[
            int | None, Option("Base channel count of the discriminator; defaults to width", ge=1)
        ] = None,
        norm: Annotated[
            Norm,
            Option("Normalization in the discriminator; use layer, instance or none with a gradient penalty"),
        ] = "batch",
        slope: Annotated[float, Option("Slope below zero of the discriminator's LeakyReLU", ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__(fields, latent_dim)
        self.batch_dependent = norm == "batch"
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, width)
        trunk = Trunk(shape, discriminator_width or width, norm, slope=slope)
        head = nn.Linear(trunk.features, 1)
        init_weights(head)
        self.discriminator = nn.Sequential(trunk, head)
