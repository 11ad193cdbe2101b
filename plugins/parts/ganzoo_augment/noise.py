"""Instance noise.

Paper: Sønderby et al., "Amortised MAP Inference for Image Super-resolution", 2017, https://arxiv.org/abs/1610.04490
    D sees x + e and G(z) + e with e from N(0, s^2), where s falls to 0    (section 3.2)
Departure: s falls linearly. By default it stays.
"""

from typing import Annotated

import torch
from torch import Tensor

from ganzoo import Augmentation, Option


class InstanceNoise(Augmentation):
    """Normal noise on every sample that the discriminator sees, real or generated. For samples of any kind."""

    def __init__(
        self,
        *,
        std: Annotated[float, Option("Standard deviation of the noise", ge=0)] = 0.1,
        steps: Annotated[int, Option("Steps in which it falls linearly to 0; 0 keeps it", ge=0, le=10**12)] = 0,
    ) -> None:
        super().__init__()
        self.std, self.steps, self.current = std, steps, std

    def at(self, step: int) -> None:
        self.current = self.std * max(0.0, 1 - step / self.steps) if self.steps else self.std

    def transform(self, sample: Tensor) -> Tensor:
        return sample + self.current * torch.randn_like(sample) if self.current else sample
