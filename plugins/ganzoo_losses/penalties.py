"""Penalties: terms that keep a discriminator smooth, whatever the loss.

All but ``clip`` look at the gradient g(x) of the score C(x) by the sample x, at points that each chooses for itself.
E is the mean over a batch, |g| the norm over all numbers of one sample.

Where ``judge`` looks across a batch (batch normalisation), a score depends on the other samples too, and g is the
gradient of the batch's summed score: Gulrajani et al. advise layer normalisation in the discriminator, or none.
"""

from operator import attrgetter
from typing import Annotated

import torch
from torch import Tensor, nn

from ganzoo import Batch, Model, Option, Penalty, UsageError
from ganzoo.loss import Every, Weight


class GradientPenalty(Penalty):
    """The gradient's norm is to be 1 between real samples and fakes (WGAN-GP): ``weight`` is the paper's lambda.

    Paper: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, https://arxiv.org/abs/1704.00028, equation 3
        E[(|g(y)| - 1)^2]        y = u x + (1 - u) G(z), u uniform in [0, 1], one for each pair
    """

    def __init__(self, *, weight: Weight = 10.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, now: Batch) -> Tensor:
        norm = _gradient(model, _between(real[model.target], _fakes(self, now)), real).norm(dim=1)  # (n,)
        return self.off(norm).square().mean()

    def off(self, norm: Tensor) -> Tensor:
        """Return how far each gradient's norm (n,) is off."""
        return norm - 1


class OneSided(GradientPenalty):
    """The gradient's norm is to be **at most** 1 between real samples and fakes (WGAN-LP).

    Papers: Petzka, Fischer, Lukovnikov, "On the regularization of Wasserstein GANs", 2018,
        https://arxiv.org/abs/1709.08894
        E[max(0, |g(y)| - 1)^2]        y as in ``gradient-penalty``
    Gulrajani et al., 2017, section 4, name it and take the two-sided one. The default weight is theirs.
    """

    def off(self, norm: Tensor) -> Tensor:
        return (norm - 1).relu()


class DRAGAN(Penalty):
    """The gradient's norm is to be 1 around real samples; fakes have no say. ``weight`` is the paper's lambda.

    Paper: Kodali et al., "On Convergence and Stability of GANs", 2017, https://arxiv.org/abs/1705.07215
        E[(|g(x + noise)| - 1)^2]        noise from N(0, c I)
    Departure: its deviation is ``spread`` times that of all numbers in the batch, so that it suits any data.
    """

    def __init__(
        self,
        *,
        weight: Weight = 10.0,
        every: Every = 1,
        spread: Annotated[float, Option("The noise's standard deviation, over the batch's", gt=0)] = 0.5,
    ) -> None:
        super().__init__(weight=weight, every=every)
        self.spread = spread

    def term(self, model: Model, real: Batch, now: Batch) -> Tensor:
        sample = real[model.target]
        around = sample + self.spread * sample.std(correction=0) * torch.randn_like(sample)
        return (_gradient(model, around, real).norm(dim=1) - 1).square().mean()


class R1(Penalty):
    """The gradient is to vanish at real samples: ``weight`` is the paper's gamma.

    Paper: Mescheder, Geiger, Nowozin, "Which Training Methods for GANs do actually Converge?", 2018,
        https://arxiv.org/abs/1801.04406, equation 9
        E[|g(x)|^2] / 2
    """

    def __init__(self, *, weight: Weight = 10.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, now: Batch) -> Tensor:
        return _gradient(model, real[model.target], real).square().sum(dim=1).mean() / 2


class R2(R1):
    """The gradient is to vanish at fakes: ``weight`` is the paper's gamma.

    Paper: Mescheder, Geiger, Nowozin, 2018, https://arxiv.org/abs/1801.04406, equation 10
        E[|g(G(z))|^2] / 2
    """

    def term(self, model: Model, real: Batch, now: Batch) -> Tensor:
        return _gradient(model, _fakes(self, now), now).square().sum(dim=1).mean() / 2


class Clip(Penalty):
    """No term: after each move of the discriminator all its weights are clamped to [-weight, weight].

    Paper: Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, https://arxiv.org/abs/1701.07875, algorithm 1
        w <- clip(w, -c, c)        c = 0.01
    Biases, and the scales of normalisation layers, are weights too. With ``every`` above 1 it clamps that seldom.
    """

    uses = ()

    def __init__(
        self,
        *,
        weight: Annotated[float, Option("The largest that a weight may be, either way", gt=0)] = 0.01,
        every: Annotated[int, Option("Clamped once in this many steps", ge=1, le=10**9)] = 1,
    ) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, now: Batch) -> None:
        return None

    def after(self, model: Model) -> None:
        for name in model.players[self.player]:
            part = attrgetter(name)(model)
            for parameter in [part] if isinstance(part, nn.Parameter) else part.parameters():
                if parameter.requires_grad:  # a frozen one is nobody's to move
                    parameter.clamp_(-self.weight, self.weight)


def _gradient(model: Model, sample: Tensor, given: Batch) -> Tensor:
    """Return the gradient (n, numbers in a sample) of the scores by the samples (n, *shape), with a graph."""
    sample = sample.detach().requires_grad_()
    score = model.judge(sample, given)["score"]
    (gradient,) = torch.autograd.grad(score.sum(), sample, create_graph=True)
    return gradient.flatten(1)


def _between(real: Tensor, fake: Tensor) -> Tensor:
    """Return a random point (n, *shape) on the line between each real sample and its fake."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    return torch.lerp(fake, real, share)


def _fakes(penalty: Penalty, now: Batch) -> Tensor:
    """Return the detached fakes (n, *shape).

    Raises:
        UsageError: the loss has none.
    """
    if "fake" not in now:
        raise UsageError(
            f"The penalty {type(penalty).__name__} looks at the fakes, but this loss shares none. "
            "Take a penalty that looks at real samples only, such as r1, or an adversarial loss."
        )
    return now["fake"].detach()
