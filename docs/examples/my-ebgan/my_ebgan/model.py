# Paper: Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", 2017, https://arxiv.org/abs/1609.03126
#     D(x) = |Dec(Enc(x)) - x|: the energy is low if the autoencoder can reconstruct the sample
# Departure: the mean of the squared difference instead of the norm of the difference, so that one margin suits images
# of any size.
from math import prod
from typing import Annotated

from torch import nn

from ganzoo import LatentModel, Option


class Autoencoding(LatentModel):
    """A generator, and a discriminator that is an autoencoder."""

    batch_dependent = False  # discriminate() scores each sample by itself

    def __init__(self, fields, *, code_dim: Annotated[int, Option("Dimension of the autoencoder's code", ge=1)] = 32):
        super().__init__(fields, latent_dim=64)
        shape = fields[self.target].shape  # (1, 28, 28) for MNIST; any other shape works
        self.generator = nn.Sequential(perceptron(64, prod(shape)), nn.Tanh(), nn.Unflatten(1, shape))
        self.discriminator = nn.ModuleList([perceptron(prod(shape), code_dim), perceptron(code_dim, prod(shape))])

    def discriminate(self, sample, condition):
        encode, decode = self.discriminator
        code = encode(sample)  # (n, *shape) -> (n, code_dim)
        return {"score": (decode(code) - sample.flatten(1)).square().mean(1, keepdim=True), "code": code}


def perceptron(inputs, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, outputs))
