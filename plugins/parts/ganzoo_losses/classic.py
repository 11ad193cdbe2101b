"""The losses that score each sample on its own: non-saturating, minimax, least squares, Wasserstein, hinge.

In all of them C(x) is the score, D(x) = sigmoid(C(x)), and E the mean over a batch; both players minimize.
"""

from collections.abc import Mapping
from typing import Annotated

from torch import Tensor
from torch.nn.functional import relu, softplus

from ganzoo import AdversarialLoss, NCritic, Option


class CriticLoss(AdversarialLoss):
    """A loss whose scores are not logits: it logs their means, not probabilities."""

    def log_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {"C(x)": real.mean(), "C(G(z))": fake.mean()}


class NonSaturating(AdversarialLoss):
    """The original GAN with the generator's second form, whose gradient does not vanish while D wins.

    Paper: Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661, equation 1 and
        section 3
        D minimizes -[log D(x) + log(1 - D(G(z)))]        G minimizes -log D(G(z))
    With ``real_label`` below 1, D minimizes -[a log D(x) + (1 - a) log(1 - D(x)) + log(1 - D(G(z)))]: Salimans et al.,
        "Improved Techniques for Training GANs", 2016, https://arxiv.org/abs/1606.03498, section 3.4
    Both are computed from logits, with log D = -softplus(-C) and log(1 - D) = -softplus(C), which do not overflow.
    """

    def __init__(
        self,
        *,
        discriminator_weight: Annotated[
            float, Option("Factor of the discriminator's loss; some implementations halve it", gt=0)
        ] = 1.0,
        real_label: Annotated[
            float, Option("Label of real samples; 0.9 is one-sided label smoothing", gt=0.5, le=1)
        ] = 1.0,
        n_critic: NCritic = 1,
    ) -> None:
        super().__init__(n_critic=n_critic)
        self.discriminator_weight, self.real_label = discriminator_weight, real_label

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        on_real = softplus(-real).mean()
        if self.real_label != 1:
            on_real = on_real + (1 - self.real_label) * real.mean()  # cross-entropy with a label below 1
        return self.discriminator_weight * (on_real + softplus(fake).mean())

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return softplus(-fake).mean()


class Minimax(AdversarialLoss):
    """The first form of the GAN: both players fight over one number. G learns little while D wins, because its gradient
    vanishes.

    Paper: Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661, equation 1
        D minimizes -E[log D(x)] - E[log(1 - D(G(z)))]        G minimizes E[log(1 - D(G(z)))]
    with log D = -softplus(-C) and log(1 - D) = -softplus(C), which do not overflow.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -softplus(fake).mean()


class LeastSquares(CriticLoss):
    """D gives generated samples the score a and real ones b; G wants c. A sample that is far off is pulled even if D is
    sure about it.

    Paper: Mao et al., "Least Squares Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.04076,
        equation 2
        D minimizes (E[(C(x) - b)^2] + E[(C(G(z)) - a)^2]) / 2        G minimizes E[(C(G(z)) - c)^2] / 2
    The defaults are its equation 9 (0-1 coding: a = 0, b = c = 1). With its equation 8 (a = -1, b = 1, c = 0), where
    b - c = 1 and b - a = 2, an optimal D makes the game a Pearson chi-squared divergence.
    """

    def __init__(
        self,
        *,
        a: Annotated[float, Option("Score that D gives generated samples")] = 0.0,
        b: Annotated[float, Option("Score that D gives real samples")] = 1.0,
        c: Annotated[float, Option("Score that G wants for generated samples")] = 1.0,
        n_critic: NCritic = 1,
    ) -> None:
        super().__init__(n_critic=n_critic)
        if (c - a) * (b - a) <= 0:
            raise ValueError(
                f"a = {a}, b = {b}, c = {c}, but b and c must both be above a or both below; otherwise G is not "
                "pulled toward what D calls real; for example a = 0, b = 1, c = 1, or a = -1, b = 1, c = 0"
            )
        self.a, self.b, self.c = a, b, c

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - self.b).square().mean() + (fake - self.a).square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return (fake - self.c).square().mean() / 2


class Wasserstein(CriticLoss):
    """The critic estimates how far generated samples are from the data (logged as ``distance``), if its slope is
    bounded (Lipschitz): combine it with the penalty ``gradient-penalty``, ``one-sided`` or ``clip``. Without one, its
    scores grow without limit.

    Paper: Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, https://arxiv.org/abs/1701.07875, algorithm 1
        D minimizes -(E[C(x)] - E[C(G(z))])        G minimizes -E[C(G(z))]
    G moves once in 5 steps, as in the paper. Departure: G moves on the samples that D has just seen, not on new ones.
    """

    def __init__(self, *, n_critic: NCritic = 5) -> None:
        super().__init__(n_critic=n_critic)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()

    def log_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {"distance": real.mean() - fake.mean()}


class Hinge(CriticLoss):
    """D ignores samples that are beyond the margin on their side, 1 for real and -1 for generated; G raises the scores
    of its samples.

    Papers: Lim and Ye, "Geometric GAN", 2017, https://arxiv.org/abs/1705.02894
    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
        https://arxiv.org/abs/1802.05957, section 4
        D minimizes E[max(0, 1 - C(x))] + E[max(0, 1 + C(G(z)))]        G minimizes -E[C(G(z))]
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()
