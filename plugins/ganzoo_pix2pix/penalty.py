"""The L1 term of pix2pix: what is made from something is to be near the real image that belongs to it."""

from torch import Tensor

from ganzoo import Batch, Model, Penalty
from ganzoo.loss import Every, Weight


class L1(Penalty):
    """The mean distance of each generated image from the real one with the same edges; ``weight`` is the paper's
    lambda. For models that are given something, with data in which it belongs to the image.

    Paper: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
        https://arxiv.org/abs/1611.07004, equation 3
        E|y - G(x)|        here the mean over all pixels too, of values in [-1, 1]
    """

    player = "generator"
    uses = ("generate", "given")

    def __init__(self, *, weight: Weight = 100.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, now: Batch) -> Tensor:
        fake = now["fake"] if self.every == 1 else model.generate(now)  # a move of its own comes after G has moved
        return (fake - real[model.target]).abs().mean()
