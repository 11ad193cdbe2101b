"""CTGAN: a conditional GAN for tables.

Paper: Xu, Skoularidou, Cuesta-Infante, Veeramachaneni, "Modeling Tabular data using Conditional GAN", 2019,
    https://arxiv.org/abs/1907.00503, sections 4.2 to 4.4
    G: h1 = [h0, relu(norm(W h0))], h0 = [z, cond]; a number is tanh, its mode and a category are Gumbel softmax
    D scores packs of rows with their conditions: Lin et al., "PacGAN", 2018, https://arxiv.org/abs/1712.04086
    D minimizes the loss of WGAN-GP; G also the cross-entropy of the category asked for: penalty.py
Gumbel softmax: Jang, Gu, Poole, 2017, https://arxiv.org/abs/1611.01144
    softmax((logits + g) / temperature), g = -log(-log u), u uniform in (0, 1)                            (equation 2)
The dataset draws the rows and conditions in training: ganzoo_tables/data.py.
Departures: layer normalization in G, not batch normalization, so that a row does not depend on others; no dropout in D;
    packs have one row by default, not 10; they overlap: row i is scored with the rows after it in the batch, so that
    each row has a score and a batch has any size; ``label`` is the number of the condition, one-hot in the networks.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from ganzoo_tables.columns import Category, columns_of
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganzoo import Batch, Field, LatentDim, Model, Option


class CTGAN(Model):
    """Perceptrons for rows of a table, given one category of one column (``label``)."""

    required_fields = ("label",)
    latent_distributions = {"z": "normal", "u": "uniform"}  # noqa: RUF012

    shares: Tensor

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 128,
        width: Annotated[int, Option("Units in each hidden layer", ge=1, le=65536)] = 256,
        depth: Annotated[int, Option("Hidden layers of each player", ge=1, le=64)] = 2,
        pac: Annotated[int, Option("Rows in a pack that the discriminator scores: PacGAN", ge=1, le=1024)] = 1,
        temperature: Annotated[float, Option("Smoothness of the generated categories", gt=0)] = 0.2,
    ) -> None:
        super().__init__(fields)
        self.columns = columns_of(fields[self.target])
        self.latent_dim, self.pac, self.temperature = latent_dim, pac, temperature
        self.batch_dependent = pac > 1
        self.labels = fields["label"].classes or 1
        self.choices = sum(column.choices for column in self.columns)
        (units,) = fields[self.target].shape
        categories = [column for column in self.columns if isinstance(column, Category)]
        shares = [share for column in categories for share in column.shares]
        self.register_buffer("shares", torch.tensor(shares or [1.0]))  # (labels,): of each category in its column
        self.generator = Generator(latent_dim + self.labels, width, depth, units)
        self.discriminator = _perceptron(pac * (units + self.labels), width, depth)

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        """Draw ``z`` (n, latent_dim), ``u`` (n, choices) in [-1, 1], from which Gumbel noise is made, and ``label``
        (n,): a column of categories, all alike, and a category as often as in the table."""
        shares = self.shares.to(rng.device)
        return {
            "z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device),
            "u": torch.rand(n, self.choices, generator=rng, device=rng.device) * 2 - 1,
            "label": torch.multinomial(shares, n, replacement=True, generator=rng),
        }

    def generator_inputs(self, real: Batch, rng: torch.Generator) -> Batch:
        """Return latents with the conditions of the real rows, because the discriminator compares rows of the same
        conditions."""
        return {**self.sample_latent(len(real[self.target]), rng), "label": real["label"]}

    def generate(self, latent: Batch) -> Tensor:
        gumbel = -(-((latent["u"] + 1) / 2).clamp(1e-6, 1 - 1e-6).log()).log()
        made, row, start = self._made(latent), [], 0
        for column, part in zip(self.columns, made.split([c.units for c in self.columns], 1), strict=True):
            noise = gumbel[:, start : start + column.choices]
            start += column.choices
            number, logits = part.split([column.units - column.choices, column.choices], 1)
            row += [number.tanh(), ((logits + noise) / self.temperature).softmax(1)]
        return torch.cat(row, 1)  # (n, units)

    def label_log_probabilities(self, latent: Batch) -> Tensor:
        """Return the log-probability of each category of each column, (n, labels), before Gumbel noise."""
        parts = zip(self.columns, self._made(latent).split([c.units for c in self.columns], 1), strict=True)
        found = [part.log_softmax(1) for column, part in parts if isinstance(column, Category)]
        return torch.cat(found, 1) if found else latent["z"].new_zeros(len(latent["z"]), 1)

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        row = torch.cat([sample, one_hot(condition["label"], self.labels)], 1)  # (n, units + labels)
        pack = torch.cat([row.roll(-shift, 0) for shift in range(self.pac)], 1)
        return {"score": self.discriminator(pack)}

    def _made(self, latent: Batch) -> Tensor:
        made: Tensor = self.generator(torch.cat([latent["z"], one_hot(latent["label"], self.labels)], 1))
        return made


class Generator(nn.Module):
    """A perceptron in which each layer sees the input and all layers before it: (n, inputs) -> (n, units)."""

    def __init__(self, inputs: int, width: int, depth: int, units: int) -> None:
        super().__init__()
        sizes = [inputs + width * number for number in range(depth)]
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Linear(size, width), nn.LayerNorm(width), nn.ReLU()) for size in sizes
        )
        self.out = nn.Linear(inputs + width * depth, units)

    def forward(self, h: Tensor) -> Tensor:
        for layer in self.hidden:
            h = torch.cat([h, layer(h)], 1)
        made: Tensor = self.out(h)
        return made


def _perceptron(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Return a critic: (n, inputs) -> (n, 1)."""
    layers: list[nn.Module] = []
    for size in [inputs, *[width] * (depth - 1)]:
        layers += [nn.Linear(size, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, 1, bias=False))  # a critic's scores have no zero
