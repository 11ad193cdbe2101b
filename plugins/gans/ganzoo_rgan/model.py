"""The recurrent GAN for series.

Paper: Esteban, Hyland, Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs", 2017,
    https://arxiv.org/abs/1706.02633, section 3
    G: z_1 ... z_T -> LSTM -> linear -> x_1 ... x_T, new noise in each step
    D: x_1 ... x_T -> LSTM -> linear -> one score per step; its loss is the mean cross-entropy over the steps
    The scores (n, T) are those of patches, so that any loss takes their mean.
Departures: without conditions (RGAN); G ends in tanh because series are in [-1, 1]; ``bidirectional`` lets D see a
    series from both ends; the initial weights of the inputs have the variance 1 / inputs, which is much more than
    PyTorch's: with those, an LSTM is almost linear, and D sees nothing for 2,000 steps.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from ganzoo import Batch, Field, LatentDim, Model, Option

Width = Annotated[int, Option("Units of the LSTM", ge=1, le=65536)]


class RGAN(Model):
    """Two LSTMs for series (T, F)."""

    batch_dependent = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 5,
        generator_width: Width = 100,
        discriminator_width: Width = 100,
        bidirectional: Annotated[bool, Option("Whether the discriminator sees a series from both ends")] = False,
    ) -> None:
        super().__init__(fields)
        shape = fields[self.target].shape
        if len(shape) != 2:
            raise ValueError(f"it needs series (steps, features), such as the dataset series, not the shape {shape}")
        self.length, features = shape
        self.latent_dim = latent_dim
        self.generator = nn.Sequential(Recurrent(latent_dim, generator_width, features), nn.Tanh())
        self.discriminator = Recurrent(features, discriminator_width, 1, bidirectional)

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        """Draw ``z`` (n, T, latent_dim)."""
        return {"z": torch.randn(n, self.length, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        series: Tensor = self.generator(latent["z"])  # (n, T, F)
        return series

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        """Return ``score`` (n, T), one per step."""
        return {"score": self.discriminator(sample)[:, :, 0]}


class Recurrent(nn.Module):
    """An LSTM and a linear layer: (n, T, inputs) -> (n, T, outputs)."""

    def __init__(self, inputs: int, width: int, outputs: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.memory = nn.LSTM(inputs, width, batch_first=True, bidirectional=bidirectional)
        self.out = nn.Linear(width * (1 + bidirectional), outputs)
        for name, parameter in self.memory.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.normal_(parameter, std=inputs**-0.5)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(parameter)
            elif name.startswith("bias_ih"):
                nn.init.zeros_(parameter)
                nn.init.ones_(parameter[width : 2 * width])  # the forget gate

    def forward(self, steps: Tensor) -> Tensor:
        made: Tensor = self.out(self.memory(steps)[0])
        return made
