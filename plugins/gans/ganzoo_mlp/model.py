"""Multilayer perceptrons, for points in the plane.

Paper: Metz et al., "Unrolled Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.02163, appendix A
    G(z) = W relu(... relu(W1 z)),  D(x) = V relu(... relu(V1 x))
Departures: depth and width are options, the same for both players (in the paper: two hidden layers of 128 in G, one in
    D); z has 2 dimensions, not 256; PyTorch's own initial weights, not orthogonal ones.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Annotated

from torch import nn

from ganzoo import Field, LatentDim, LatentModel, Option


class MLP(LatentModel):
    """Two perceptrons with one or more hidden layers, ReLU and a linear output. A sample is flattened on its way in and
    out."""

    batch_dependent = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 2,
        width: Annotated[int, Option("Units in each hidden layer", ge=1, le=65536)] = 128,
        depth: Annotated[int, Option("Hidden layers of each player", ge=1, le=64)] = 3,
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        hidden = [width] * depth
        self.generator = nn.Sequential(*_layers(latent_dim, *hidden, prod(shape)), nn.Unflatten(1, shape))
        self.discriminator = nn.Sequential(nn.Flatten(), *_layers(prod(shape), *hidden, 1))


def _layers(*sizes: int) -> Sequence[nn.Module]:
    """Return linear layers from size to size, with ReLU between them."""
    return [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())][:-1]
