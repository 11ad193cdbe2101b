"""The loss of the energy-based GAN.

Paper: Zhao, Mathieu, LeCun, 2017, https://arxiv.org/abs/1609.03126, equations 1 and 2
    D minimizes D(x) + max(0, m - D(G(z)))        G minimizes D(G(z))        D is an energy: low for real samples
"""

from collections.abc import Mapping
from typing import Annotated

from torch import Tensor
from torch.nn.functional import relu

from ganzoo import AdversarialLoss, NCritic, Option


class EnergyMargin(AdversarialLoss):
    """The discriminator gives real samples a low energy, and generated ones at least the margin. The generator wants a
    low energy."""

    def __init__(
        self,
        *,
        margin: Annotated[float, Option("From this energy on, a fake adds no loss for D: m", gt=0)] = 0.2,
        n_critic: NCritic = 1,
    ) -> None:
        super().__init__(n_critic=n_critic)
        self.margin = margin

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.mean() + relu(self.margin - fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return fake.mean()

    def log_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {"energy(x)": real.mean(), "energy(G(z))": fake.mean()}
