"""The generator's term for conditions: the category that was asked for should be generated.

Paper: Xu et al., 2019, https://arxiv.org/abs/1907.00503, section 4.3
    G also minimizes the cross-entropy between the category asked for and the generated column
"""

from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import nll_loss

from ganzoo import Batch, Model, Penalty


class Condition(Penalty):
    """The negative log-probability of the category that the generator was asked for (``label``)."""

    player = "generator"
    required_fields = ("label",)
    required_methods: ClassVar = ("label_log_probabilities",)

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        maker: Any = model  # required_methods says that it has the method
        return nll_loss(maker.label_log_probabilities(shared), shared["label"])
