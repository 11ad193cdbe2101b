"""The non-saturating loss: the original GAN game, with the generator's second form.

Paper: Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661, equation 1 and section 3
    D minimises -[log D(x) + log(1 - D(G(z)))] / 2        G minimises -log D(G(z))
with D = sigmoid(score), so that log D = -softplus(-score) and log(1 - D) = -softplus(score).
Departures: D's loss is halved, as in aladdinpersson's Machine-Learning-Collection, "1. SimpleGAN/fc_gan.py"; it is
    computed from logits, which is the same function and does not overflow.
"""

from torch import Tensor
from torch.nn.functional import softplus

from ganzoo import AdversarialLoss


class NonSaturating(AdversarialLoss):
    """D tells real from fake by cross-entropy; G maximises log D(G(z)), whose gradient does not vanish while D wins."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (softplus(-real).mean() + softplus(fake).mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return softplus(-fake).mean()
