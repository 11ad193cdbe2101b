"""The simple fully connected GAN.

Paper: Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661
    G(z) = tanh(W2 lrelu(W1 z)),  D(x) = sigmoid(V2 lrelu(V1 x))
Reproduces: aladdinpersson, Machine-Learning-Collection, "1. SimpleGAN/fc_gan.py",
    https://github.com/aladdinpersson/Machine-Learning-Collection
Departures from it: the discriminator ends in a logit, and the sigmoid moves into the loss (the same function, but
    stable); z has 126 numbers (and the recipe 500 epochs), not 64 (and 50); the sizes are options; any shape of data
    fits, not only 28x28.
"""

from collections.abc import Mapping
from math import prod
from typing import Annotated

import torch
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option


class FullyConnected(Model):
    """Two perceptrons of one hidden layer each; a sample is flattened to a vector on its way in and out."""

    across = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 126,
        generator_width: Annotated[int, Option("Units in the generator's hidden layer", ge=1, le=65536)] = 256,
        discriminator_width: Annotated[int, Option("Units in the discriminator's hidden layer", ge=1, le=65536)] = 128,
        slope: Annotated[float, Option("LeakyReLU's slope below zero", ge=0, lt=1)] = 0.01,
    ) -> None:
        super().__init__(fields)
        self.latent_dim = latent_dim
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

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {"z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"])  # (n, latent_dim) -> (n, *shape)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, *shape) -> (n, 1)
