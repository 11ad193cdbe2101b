"""The loss of the bidirectional GAN.

Paper: Donahue et al., "Adversarial Feature Learning", 2017, https://arxiv.org/abs/1605.09782, section 3.4
    D minimises -[log D(x, E(x)) + log(1 - D(G(z), z))] / 2
    G and E minimise -log D(G(z), z) - log(1 - D(x, E(x)))        the same with the truth exchanged
Departure: D's loss is halved, as in ``non-saturating``, on which this builds.
"""

from ganzoo_fc_mnist.loss import NonSaturating
from torch import Tensor
from torch.nn.functional import softplus


class BiGANLoss(NonSaturating):
    """The generator's player wants its fakes taken for real, and real samples with their codes for fakes."""

    uses = (*NonSaturating.uses, "encode")
    relativistic = True  # the real scores are the encoder's to move

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return super().generator(fake, None) + softplus(real).mean()
