"""The relativistic losses: what counts is not a sample's score but how far it is above those of the other side.

In all of them C(x) is the score, E the mean over a batch, and both players minimize; -log sigmoid(t) = softplus(-t).
Only differences of scores count, so all scores may drift together. Their means are logged, not probabilities.
"""

from torch import Tensor
from torch.nn.functional import softplus

from ganzoo_losses.classic import CriticLoss


class Relativistic(CriticLoss):
    """D wants each real sample above the generated one that it is paired with; G wants the opposite (RSGAN).

    Paper: Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", 2018,
        https://arxiv.org/abs/1807.00734, section 4
        D minimizes E[softplus(-(C(x) - C(G(z))))]        G minimizes E[softplus(-(C(G(z)) - C(x)))]
    Samples are paired in the order of the batch.
    """

    relativistic = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None
        return softplus(real - fake).mean()


class RelativisticPaired(Relativistic):
    """R3GAN's loss (RpGAN), meant for the penalties ``r1`` and ``r2`` with the same weight. **The formulas are those of
    ``relativistic``**: what R3GAN adds is the two penalties, with which its authors prove local convergence.

    Paper: Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2024,
        https://arxiv.org/abs/2501.05441, section 2
        D minimizes E[softplus(-(C(x) - C(G(z))))] + (gamma / 2) (E[|grad C(x)|^2] + E[|grad C(G(z))|^2])
        G minimizes E[softplus(-(C(G(z)) - C(x)))]
    What was called RGAN in 2018 has been called RpGAN since Jolicoeur-Martineau, "On Relativistic f-Divergences", 2019,
        https://arxiv.org/abs/1901.02474
    Departure: R3GAN's paper writes one minimax value; here G has its non-saturating form, as in RSGAN.
    """


class RelativisticAverage(CriticLoss):
    """D wants real samples above the mean score of generated ones, and generated ones below the mean of real ones; G
    wants the opposite (RaSGAN, both means in both losses).

    Paper: Jolicoeur-Martineau, 2018, https://arxiv.org/abs/1807.00734, section 4; with
        r = C(x) - E[C(G(z))]        f = C(G(z)) - E[C(x)]
        D minimizes E[softplus(-r)] + E[softplus(f)]        G minimizes E[softplus(-f)] + E[softplus(r)]
    """

    relativistic = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None
        return self.discriminator(fake, real)  # the same game with the sides exchanged
