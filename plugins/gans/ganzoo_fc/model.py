"""The simple fully connected GAN.

Paper: Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661
    G(z) = tanh(W2 lrelu(W1 z)),  D(x) = sigmoid(V2 lrelu(V1 x))
Reproduces: aladdinpersson, Machine-Learning-Collection, "1. SimpleGAN/fc_gan.py",
    https://github.com/aladdinpersson/Machine-Learning-Collection
Departures from it: the discriminator ends in a logit, and the sigmoid is part of the loss (the same function, but
    stable); z has 126 dimensions (and the recipe 500 epochs), not 64 (and 50); the sizes are options; samples of any
    shape fit, not only 28x28.
"""

from collections.abc import Mapping
from math import prod
from typing import Annotated

from torch import nn

from ganzoo import Field, LatentDim, LatentModel, Option


class FullyConnected(LatentModel):
    """Two perceptrons with one hidden layer each. A sample is flattened to a vector on its way in and out."""

    batch_dependent = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 126,
        generator_width: Annotated[int, Option("Units in the generator's hidden layer", ge=1, le=65536)] = 256,
        discriminator_width: Annotated[int, Option("Units in the discriminator's hidden layer", ge=1, le=65536)] = 128,
        slope: Annotated[float, Option("Slope of LeakyReLU below zero", ge=0, lt=1)] = 0.01,
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        size = prod(shape)
        self.generator = nn.Sequential(
            nn.Linear(latent_dim, generator_width),
            nn.LeakyReLU(slope),
            nn.Linear(generator_width, size),
            nn.Tanh(),
            nn.Unflatten(1, shape),
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            nn.Linear(size, discriminator_width),
            nn.LeakyReLU(slope),
            nn.Linear(discriminator_width, 1),
        )
