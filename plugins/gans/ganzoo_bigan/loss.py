"""The loss of the bidirectional GAN.

Paper: Donahue et al., "Adversarial Feature Learning", 2017, https://arxiv.org/abs/1605.09782, section 3.4
    D minimizes -[log D(x, E(x)) + log(1 - D(G(z), z))]
    G and E minimize -log D(G(z), z) - log(1 - D(x, E(x)))        the same with the sides exchanged
D's loss is that of ``non-saturating``, which the recipe halves.
"""

from ganzoo_losses.classic import NonSaturating
from torch import Tensor
from torch.nn.functional import softplus


class BiGANLoss(NonSaturating):
    """The generator wants its samples taken for real ones; the encoder wants real samples with their codes taken for
    generated ones."""

    required_methods = (*NonSaturating.required_methods, "encode")
    relativistic = True  # the scores of real samples depend on the encoder

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None
        return super().generator(fake, None) + softplus(real).mean()
