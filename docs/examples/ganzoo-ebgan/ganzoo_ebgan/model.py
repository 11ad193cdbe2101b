# Paper: Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", 2017, https://arxiv.org/abs/1609.03126
#     D(x) = |Dec(Enc(x)) - x|: low energy where a sample can be put together again, as real ones can
# Departure: the mean square of the difference in place of its norm, so that a margin suits images of any size.
from math import prod
from typing import Annotated

import torch
from torch import nn

from ganzoo import Model, Option


class Autoencoding(Model):
    """A generator, and a discriminator that is an autoencoder."""

    batch_dependent = False  # judge() looks at each sample by itself

    def __init__(self, fields, *, code: Annotated[int, Option("Numbers in the autoencoder's code", ge=1)] = 32):
        super().__init__(fields)
        shape = fields[self.target].shape  # (1, 28, 28) for MNIST; any other will do
        self.discriminator = nn.ModuleList([perceptron(prod(shape), code), perceptron(code, prod(shape))])
        self.generator = nn.Sequential(perceptron(64, prod(shape)), nn.Tanh(), nn.Unflatten(1, shape))

    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, 64, generator=rng, device=rng.device)}

    def generate(self, latent):
        return self.generator(latent["z"])  # (n, 64) -> (n, *shape)

    def discriminate(self, sample, condition):
        encode, decode = self.discriminator
        code = encode(sample)  # (n, *shape) -> (n, code)
        return {"score": (decode(code) - sample.flatten(1)).square().mean(1, keepdim=True), "code": code}


def perceptron(inputs, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, outputs))
