"""Multilayer perceptrons, for points in the plane.

Paper: Metz et al., "Unrolled Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.02163, appendix A
    G(z) = W relu(... relu(W1 z)),  D(x) = V relu(... relu(V1 x))
Departures: depth and width are options, the same for both players (there: two hidden layers of 128 in G, one in D);
    z has 2 numbers, not 256; PyTorch's own initial weights, not orthogonal ones.
"""

from collections.abc import Mapping
from itertools import pairwise
from math import prod
from typing import Annotated

import torch
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option


class MLP(Model):
    """Two perceptrons of some hidden layers with ReLU and a linear end; a sample is flattened on its way in and out."""

    across = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 2,
        width: Annotated[int, Option("Units in each hidden layer", ge=1, le=65536)] = 128,
        depth: Annotated[int, Option("Hidden layers of each player", ge=1, le=64)] = 3,
    ) -> None:
        super().__init__(fields)
        self.latent_dim = latent_dim
        shape = fields[self.target].shape
        hidden = [width] * depth

        def layers(*sizes: int) -> list[nn.Module]:  # linear ones, with ReLUs between them
            return [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())][:-1]

        self.generator = nn.Sequential(*layers(latent_dim, *hidden, prod(shape)), nn.Unflatten(1, shape))
        self.discriminator = nn.Sequential(nn.Flatten(), *layers(prod(shape), *hidden, 1))

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {"z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"])  # (n, latent_dim) -> (n, *shape)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, *shape) -> (n, 1)
