"""InfoGAN's loss: the original game, and a bound on the information that images carry about the codes.

Paper: Chen et al., "InfoGAN", 2016, https://arxiv.org/abs/1606.03657, equations 5 and 6
    L_I(G, Q) = E[log Q(c | G(z, c))] + H(c) <= I(c; G(z, c))        min over G and Q, max over D: V(D, G) - lambda L_I
    log Q(c | x): of the category, its log-probability; of a style s, log N(s; mean(x), variance(x))
Departures: G has the non-saturating form of V; the entropy H(c), which is constant, is left out; lambda is
    ``code_weight`` for the category and ``style_weight`` for the styles; variances below 0.1 count as 0.1 (an unknown
    style has 1/3), so that G gains nothing by distorting digits until styles can be read off exactly; the
    discriminator's trunk also learns to recognize codes, because D and Q share it.
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_losses.classic import NonSaturating
from torch import Tensor
from torch.nn.functional import cross_entropy, gaussian_nll_loss

from ganzoo import Batch, NCritic, Option, UsageError

MIN_VARIANCE = 0.1


class MutualInformation(NonSaturating):
    """The non-saturating loss, and for both players the negative log-likelihood of the codes of generated images."""

    def __init__(
        self,
        *,
        code_weight: Annotated[float, Option("Factor of the loss for the category", ge=0)] = 1.0,
        style_weight: Annotated[float, Option("Factor of the loss for the styles", ge=0)] = 0.1,
        n_critic: NCritic = 1,
    ) -> None:
        super().__init__(n_critic=n_critic)
        self.code_weight, self.style_weight = code_weight, style_weight

    def fake_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        if missing := [name for name in ("code", "mean", "log_variance") if name not in heads]:
            raise UsageError(
                f"The loss 'infogan' needs a model whose discriminate() returns {missing[0]!r}; this one returns: "
                f"{', '.join(sorted(heads))}. Choose the model infogan, or another loss."
            )
        code = cross_entropy(heads["code"], condition["code"])
        variance = heads["log_variance"].exp()
        style = gaussian_nll_loss(heads["mean"], condition["style"], variance, full=True, eps=MIN_VARIANCE)
        return {"code": self.code_weight * code, "style": self.style_weight * style}
