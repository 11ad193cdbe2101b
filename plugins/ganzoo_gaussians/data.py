"""Mixtures of narrow Gaussians in the plane: the toy data that mode collapse is shown on.

Papers: Metz et al., "Unrolled Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.02163
    8 Gaussians of standard deviation 0.02 on a circle of radius 2
Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning", 2017,
    https://arxiv.org/abs/1705.07761; sizes as in the code of Lin et al., "PacGAN", 2018,
    https://arxiv.org/abs/1712.04086
    25 Gaussians of standard deviation 0.05 on a grid: -4, -2, 0, 2, 4 either way
Departures: everything is made smaller, the deviations alike, so that the outermost centres lie at 0.8 and a tanh
    reaches all of it; a fixed set of points is drawn, in which all modes have equally many (to within one).
"""

from typing import Annotated

import torch
from torch import Tensor

from ganzoo import Option, TensorData

SEED = 2017
"""Of the points: a part of what the data sets are. The run's seed only shuffles them."""

Examples = Annotated[int, Option("Points in all, shared out evenly among the modes", ge=1, le=10**7)]
Deviation = Annotated[float, Option("Standard deviation of each Gaussian, either way", gt=0, le=0.04)]


class Mixture(TensorData):
    """Points around given centres: ``point`` (2,), float32, in [-1, 1]; example i is of mode i modulo k.

    Attributes:
        centres: the means, float32 (k, 2).
        deviation: the standard deviation of each Gaussian, the same both ways.
    """

    metrics = ("gaussian", "fd", "prdc")

    def __init__(self, centres: Tensor, examples: int, deviation: float) -> None:
        rng = torch.Generator().manual_seed(SEED)
        noise = torch.randn(examples, 2, generator=rng)
        super().__init__({"point": centres[torch.arange(examples) % len(centres)] + deviation * noise})
        self.centres, self.deviation = centres, deviation


class Ring8(Mixture):
    """8 Gaussians on a circle of radius 0.8, the first at (0.8, 0): Metz et al. made smaller by 0.4."""

    def __init__(self, *, examples: Examples = 50_000, deviation: Deviation = 0.008) -> None:
        angle = torch.arange(8) * (torch.pi / 4)
        super().__init__(0.8 * torch.stack([angle.cos(), angle.sin()], 1), examples, deviation)


class Grid25(Mixture):
    """25 Gaussians on a grid of 5x5, 0.4 apart, the outermost at 0.8: Srivastava et al. made smaller by 0.2."""

    def __init__(self, *, examples: Examples = 50_000, deviation: Deviation = 0.01) -> None:
        line = torch.linspace(-0.8, 0.8, 5)
        super().__init__(torch.cartesian_prod(line, line), examples, deviation)
