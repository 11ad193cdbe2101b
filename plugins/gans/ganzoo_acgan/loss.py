"""The loss of ACGAN: the original game, in which both players also want the class of every image to be recognized.

Paper: Odena, Olah, Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017,
    https://arxiv.org/abs/1610.09585, section 3; see model.py
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_losses.classic import NonSaturating
from torch import Tensor
from torch.nn.functional import cross_entropy

from ganzoo import Batch, NCritic, Option, UsageError


class AuxiliaryClassifier(NonSaturating):
    """The non-saturating loss plus the class cross-entropy: both players on generated images, D on real images too."""

    required_fields = ("label",)

    def __init__(
        self,
        *,
        class_weight: Annotated[float, Option("Factor of the classification losses", ge=0)] = 1.0,
        n_critic: NCritic = 1,
    ) -> None:
        super().__init__(n_critic=n_critic)
        self.class_weight = class_weight

    def real_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        return {"class-real": self._class_loss(heads, condition)}

    def fake_head_losses(self, heads: Batch, condition: Batch) -> Mapping[str, Tensor]:
        return {"class": self._class_loss(heads, condition)}

    def _class_loss(self, heads: Batch, condition: Batch) -> Tensor:
        for name, present, place in (("class", heads, "discriminate()"), ("label", condition, "sample_latent()")):
            if name not in present:
                raise UsageError(
                    f"The loss 'acgan' needs a model whose {place} returns {name!r}; this one returns: "
                    f"{', '.join(sorted(present))}. Choose the model acgan, or another loss."
                )
        return self.class_weight * cross_entropy(heads["class"], condition["label"])
