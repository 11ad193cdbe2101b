"""InfoGAN's loss: the classic game, and a bound on the information that images carry about the codes.

Paper: Chen et al., "InfoGAN", 2016, https://arxiv.org/abs/1606.03657, equations 5 and 6
    L_I(G, Q) = E[log Q(c | G(z, c))] + H(c) <= I(c; G(z, c))        min over G and Q, max over D: V(D, G) - lambda L_I
    log Q(c | x): of the category, its log-probability; of a style code s, log N(s; mean(x), variance(x))
Departures: G has the non-saturating form of V; the entropy H(c), which nobody can change, is left out; lambda is
    ``code_weight`` for the category and ``style_weight`` for the style codes; variances below 0.1 count as 0.1 (a style
    that nobody knows has 1/3), so that G is not paid for styles that distort digits to be read off exactly; the
    discriminator's body learns to recognise too, as it does where Q and D share it.
"""

from collections.abc import Mapping
from typing import Annotated

from torch import Tensor
from torch.nn.functional import cross_entropy, gaussian_nll_loss, softplus

from ganzoo import AdversarialLoss, Batch, Option, UsageError
from ganzoo.loss import GeneratorEvery

LEAST_VARIANCE = 0.1


class MutualInformation(AdversarialLoss):
    """The non-saturating game; and both players want the codes of fakes to be recognised."""

    def __init__(
        self,
        *,
        code_weight: Annotated[float, Option("Of the information about the category", ge=0)] = 1.0,
        style_weight: Annotated[float, Option("Of the information about the style codes", ge=0)] = 0.1,
        generator_every: GeneratorEvery = 1,
    ) -> None:
        super().__init__(generator_every=generator_every)
        self.code_weight, self.style_weight = code_weight, style_weight

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return softplus(-fake).mean()

    def fake_terms(self, judged: Batch, given: Batch) -> Mapping[str, Tensor]:
        if missing := [name for name in ("code", "mean", "log_variance") if name not in judged]:
            raise UsageError(
                f"The loss 'infogan' needs a model whose judge recognises codes, with {missing[0]!r}; this one gives: "
                f"{', '.join(sorted(judged))}. Take the model infogan, or another loss."
            )
        code = cross_entropy(judged["code"], given["code"])
        variance = judged["log_variance"].exp()
        style = gaussian_nll_loss(judged["mean"], given["style"], variance, full=True, eps=LEAST_VARIANCE)
        return {"code": self.code_weight * code, "style": self.style_weight * style}  # the mean over styles
