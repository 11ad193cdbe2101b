"""The deep convolutional GAN.

Paper: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    2016, https://arxiv.org/abs/1511.06434, section 3
    G(z): z -> a small image of many channels -> transposed convolutions of stride 2, batch norm, ReLU -> tanh
    D(x): convolutions of stride 2, batch norm, LeakyReLU -> one linear layer, a logit
The critic of WGAN-GP is the same with norm = "layer" or "none": Gulrajani et al., "Improved Training of Wasserstein
    GANs", 2017, https://arxiv.org/abs/1704.00028, section 4 ("No critic batch normalization")
Departures: z is normal, not uniform; the discriminator ends in a logit, and the sigmoid moves into the loss; and those
    of networks.py.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option
from ganzoo_dcgan.networks import Body, Generator, Norm, initialise


class DCGAN(Model):
    """Convolutional networks for images of 8 pixels or more, each side 4, 5, 6 or 7 times a power of two."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 100,
        width: Annotated[int, Option("Channels next to the image; further away up to 8 times as many", ge=1)] = 64,
        discriminator_width: Annotated[
            int | None, Option("The same for the discriminator, if it is another", ge=1)
        ] = None,
        norm: Annotated[
            Norm, Option("What the discriminator normalises over; a gradient penalty forbids batch")
        ] = "batch",
        slope: Annotated[float, Option("Slope below zero of the discriminator's LeakyReLU", ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__(fields)
        self.latent_dim = latent_dim
        self.across = norm == "batch"
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, width)
        body = Body(shape, discriminator_width or width, norm, slope=slope)
        head = nn.Linear(body.features, 1)
        initialise(head)
        self.discriminator = nn.Sequential(body, head)

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {"z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"])  # (n, latent_dim) -> (n, C, H, W)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, C, H, W) -> (n, 1)
