"""The repelling regularizer of EBGAN-PT."""

from torch import Tensor
from torch.nn.functional import normalize

from ganzoo import Batch, Every, Model, Penalty, Weight


class PullingAway(Penalty):
    """The codes of the generated samples in a batch should point in different directions, so that the generator does
    not collapse.

    Paper: Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", 2017, https://arxiv.org/abs/1609.03126,
        section 2.4
        the mean of cos(code, code')^2 over the pairs of different samples
    """

    player = "generator"

    def __init__(self, *, weight: Weight = 0.1, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        fake = shared["fake"] if self.every == 1 else model.generate(shared)  # lazy: the generator has moved already
        code = normalize(model.discriminate(fake, shared)["code"])  # (n, code_dim)
        n = len(code)
        return ((code @ code.T).square().sum() - n) / max(1, n * (n - 1))
