"""Augmentations whose probability follows the overfitting of the discriminator, and adaptive pseudo augmentation.

Papers: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020,
    https://arxiv.org/abs/2006.06676, section 3
    r = E[sign(C(x))] over real x. Every 4 steps, the probability rises if r is above 0.6, and falls otherwise, by an
    amount that would take it from 0 to 1 in 500,000 samples.
Jiang et al., "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data", 2021,
    https://arxiv.org/abs/2111.06849, section 3.2
    D gets each real sample with probability 1 - p, and a generated one in its place with probability p; p as above.
Departures: the probability does not exceed 1. The pseudo-real samples are those that are also shown as fakes in the
    same step, in another order. A class label, and any other input of G, comes along.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from ganzoo import Augmentation, Batch, Field, Model, Option, UsageError

INTERVAL = 4  # steps between changes of the probability

Target = Annotated[float, Option("Mean sign of the scores of real samples to aim at", gt=-1, lt=1)]
Samples = Annotated[int, Option("Samples in which the probability can rise from 0 to 1", ge=1, le=10**12)]


class Adaptive(Augmentation):
    """An augmentation with a probability that is steered by the scores of the discriminator, which must be logits or
    alike: positive for what looks real.

    Attributes:
        probability: a scalar on the device.
        name: the probability is logged as ``augmentation/<name>``.
    """

    probability: Tensor
    signs: Tensor
    name: str

    def __init__(self, *, target: Target = 0.6, samples: Samples = 500_000) -> None:
        super().__init__()
        self.target, self.samples = target, samples
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(2))  # since the last change: sum of signs, number of real samples

    def at(self, step: int) -> None:
        if step % INTERVAL == 0:
            total, count = self.signs
            change = (total - self.target * count).sign() * count / self.samples
            self.probability.add_(change).clamp_(0, 1)
            self.signs.zero_()

    def observe_scores(self, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        self.signs[0] += real.sign().mean() * len(real)  # a score may consist of several: one per patch
        self.signs[1] += len(real)
        return {f"augmentation/{self.name}": self.probability.clone()}

    def chosen(self, n: int, probability: Tensor | None = None) -> Tensor:
        """Return which of n samples are changed, bool (n,): each with ``probability``, or with the current one."""
        p = self.probability if probability is None else probability
        return torch.rand(n, device=p.device) < p


class APA(Adaptive):
    """Adaptive pseudo augmentation: some of the real samples that D gets are generated ones, so that it cannot be too
    sure. For samples of any kind. Needs a loss that reports scores and shares its generated samples."""

    name = "apa"

    def meet(self, model: Model, fields: Mapping[str, Field]) -> None:
        self.sample_field = model.target

    def real_batch(self, real: Batch, shared: Batch) -> Batch:
        if "fake" not in shared:
            raise UsageError("The augmentation 'apa' shows generated samples as real, but this loss shares none.")
        pseudo = {**shared, self.sample_field: shared["fake"].detach()}
        if lacking := [name for name, value in real.items() if name not in pseudo or len(pseudo[name]) != len(value)]:
            raise UsageError(
                f"The augmentation 'apa' shows generated samples as real, and they have no {lacking[0]!r} of their own."
            )
        chosen = self.chosen(len(shared["fake"]))
        return {name: _mixed(chosen, pseudo[name], value) for name, value in real.items()}


def _mixed(chosen: Tensor, pseudo: Tensor, real: Tensor) -> Tensor:
    """Return pseudo-real samples (n, ...), in another order, where ``chosen`` (n,) says so, and real ones elsewhere."""
    return torch.where(chosen.view(-1, *[1] * (real.dim() - 1)), pseudo.roll(1, 0), real)
