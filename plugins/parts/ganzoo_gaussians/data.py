"""Mixtures of narrow Gaussians in the plane: the toy datasets on which mode collapse is shown.

Papers: Metz et al., "Unrolled Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.02163
    8 Gaussians of standard deviation 0.02 on a circle of radius 2
Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning", 2017,
    https://arxiv.org/abs/1705.07761; sizes as in the code of Lin et al., "PacGAN", 2018,
    https://arxiv.org/abs/1712.04086
    25 Gaussians of standard deviation 0.05 on a grid with the coordinates -4, -2, 0, 2, 4
Departures: centers and standard deviations are scaled down so that the outermost centers lie at 0.8, within the range
    of a tanh; a fixed set of points is drawn, in which all modes have the same number of points (to within one).
"""

from typing import Annotated

import torch
from torch import Tensor

from ganzoo import Option, TensorDataset

SEED = 2017
"""Seed of the points, a part of the datasets' definition. The seed of a run only shuffles them."""

Examples = Annotated[int, Option("Number of points, distributed evenly over the modes", ge=1, le=10**7)]
Deviation = Annotated[float, Option("Standard deviation of each Gaussian in each direction", gt=0, le=0.04)]


class Mixture(TensorDataset):
    """Points around given centers: ``point`` (2,), float32, in [-1, 1]; example i belongs to mode i modulo k.

    Attributes:
        centers: the means, float32 (k, 2).
        deviation: the standard deviation of each Gaussian in each direction.
    """

    metrics = ("gaussian", "fd", "prdc")

    def __init__(self, centers: Tensor, examples: int, deviation: float) -> None:
        rng = torch.Generator().manual_seed(SEED)
        noise = torch.randn(examples, 2, generator=rng)
        super().__init__({"point": centers[torch.arange(examples) % len(centers)] + deviation * noise})
        self.centers, self.deviation = centers, deviation


class Ring8(Mixture):
    """8 Gaussians on a circle of radius 0.8, the first at (0.8, 0): those of Metz et al. scaled by 0.4."""

    def __init__(self, *, examples: Examples = 50_000, deviation: Deviation = 0.008) -> None:
        angle = torch.arange(8) * (torch.pi / 4)
        super().__init__(0.8 * torch.stack([angle.cos(), angle.sin()], 1), examples, deviation)


class Grid25(Mixture):
    """25 Gaussians on a 5x5 grid, 0.4 apart, the outermost at 0.8: those of Srivastava et al. scaled by 0.2."""

    def __init__(self, *, examples: Examples = 50_000, deviation: Deviation = 0.01) -> None:
        line = torch.linspace(-0.8, 0.8, 5)
        super().__init__(torch.cartesian_prod(line, line), examples, deviation)
