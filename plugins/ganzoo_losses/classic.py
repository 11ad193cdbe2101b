"""The losses that judge each sample by itself: minimax, least squares, Wasserstein, hinge.

In all of them C(x) is the score, D(x) = sigmoid(C(x)), and E the mean over a batch; both players minimise.
The non-saturating loss, what most GANs play, is in the plugin ``fc-mnist``.
"""

from collections.abc import Mapping
from typing import Annotated

from torch import Tensor
from torch.nn.functional import relu, softplus

from ganzoo import AdversarialLoss, Option
from ganzoo.loss import GeneratorEvery


class Critic(AdversarialLoss):
    """A loss whose scores are not logits: their means are watched, not probabilities."""

    def watch(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {"C(x)": real.mean(), "C(G(z))": fake.mean()}


class Minimax(AdversarialLoss):
    """Both players fight over one number, as GANs began; G learns little while D wins, for its gradient vanishes.

    Paper: Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661, equation 1
        D minimises -E[log D(x)] - E[log(1 - D(G(z)))]        G minimises E[log(1 - D(G(z)))]
    with log D = -softplus(-C) and log(1 - D) = -softplus(C), which do not overflow.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -softplus(fake).mean()


class LeastSquares(Critic):
    """D gives fakes the score a and real samples b; G wants c. A fake that is far off is pulled, however sure D is.

    Paper: Mao et al., "Least Squares Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.04076,
        equation 2
        D minimises (E[(C(x) - b)^2] + E[(C(G(z)) - a)^2]) / 2        G minimises E[(C(G(z)) - c)^2] / 2
    The defaults are its equation 9 (0-1 coding: a = 0, b = c = 1). With its equation 8 (a = -1, b = 1, c = 0), where
    b - c = 1 and b - a = 2, an optimal D makes the game a Pearson chi-squared divergence.
    """

    def __init__(
        self,
        *,
        a: Annotated[float, Option("The score that D gives fakes")] = 0.0,
        b: Annotated[float, Option("The score that D gives real samples")] = 1.0,
        c: Annotated[float, Option("The score that G wants for its fakes")] = 1.0,
        generator_every: GeneratorEvery = 1,
    ) -> None:
        super().__init__(generator_every=generator_every)
        if (c - a) * (b - a) <= 0:
            raise ValueError(
                f"a = {a}, b = {b}, c = {c}, but b and c must both be above a, or both below, or G does not learn what "
                "D calls real; such as a = 0, b = 1, c = 1, or a = -1, b = 1, c = 0"
            )
        self.a, self.b, self.c = a, b, c

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - self.b).square().mean() + (fake - self.a).square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return (fake - self.c).square().mean() / 2


class Wasserstein(Critic):
    """The critic estimates how far the fakes are from the data (``distance``), if something keeps it smooth: play it
    with the penalty ``gradient-penalty``, ``one-sided`` or ``clip``. Without one its scores grow without limit.

    Paper: Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, https://arxiv.org/abs/1701.07875, algorithm 1
        D minimises -(E[C(x)] - E[C(G(z))])        G minimises -E[C(G(z))]
    G moves once in 5 steps, as there. Departure: G moves on the fakes that D has just seen, not on new ones.
    """

    def __init__(self, *, generator_every: GeneratorEvery = 5) -> None:
        super().__init__(generator_every=generator_every)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()

    def watch(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {"distance": real.mean() - fake.mean()}


class Hinge(Critic):
    """D stops caring about samples that it has on their side of the margin, 1 and -1; G raises its score.

    Papers: Lim and Ye, "Geometric GAN", 2017, https://arxiv.org/abs/1705.02894
    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
        https://arxiv.org/abs/1802.05957, section 4
        D minimises E[max(0, 1 - C(x))] + E[max(0, 1 + C(G(z)))]        G minimises -E[C(G(z))]
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()
