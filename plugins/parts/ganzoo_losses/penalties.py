"""Penalties: terms that join any loss, most of which keep a discriminator smooth.

Most look at the gradient g(x) of the score C(x) with respect to the sample x, each at points of its own choice. E is
the mean over a batch, |g| the norm over all numbers of one sample.

Where ``discriminate`` mixes the samples of a batch (batch normalization), a score depends on the other samples too, and
g is the gradient of the summed scores of the batch. Gulrajani et al. advise layer normalization in the discriminator,
or none.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from ganzoo import Batch, Every, Field, Model, Option, Penalty, UsageError, Weight


class GradientPenalty(Penalty):
    """The gradient norm should be 1 between real and generated samples (WGAN-GP): ``weight`` is the paper's lambda.

    Paper: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, https://arxiv.org/abs/1704.00028, equation 3
        E[(|g(y)| - 1)^2]        y = u x + (1 - u) G(z), u uniform in [0, 1], one per pair
    """

    def __init__(self, *, weight: Weight = 10.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        norm = _gradient(model, _between(real[model.target], _fake(self, shared)), real).norm(dim=1)  # (n,)
        return self.excess(norm).square().mean()

    def excess(self, norm: Tensor) -> Tensor:
        """Return how far each gradient norm (n,) is off."""
        return norm - 1


class OneSided(GradientPenalty):
    """The gradient norm should be **at most** 1 between real and generated samples (WGAN-LP).

    Papers: Petzka, Fischer, Lukovnikov, "On the regularization of Wasserstein GANs", 2018,
        https://arxiv.org/abs/1709.08894
        E[max(0, |g(y)| - 1)^2]        y as in ``gradient-penalty``
    Gulrajani et al., 2017, section 4, mention this penalty but use the two-sided one; the default weight of 10 is from
    Gulrajani et al.
    """

    def excess(self, norm: Tensor) -> Tensor:
        return (norm - 1).relu()


class DRAGAN(Penalty):
    """The gradient norm should be 1 around real samples. ``weight`` is the paper's lambda.

    Paper: Kodali et al., "On Convergence and Stability of GANs", 2017, https://arxiv.org/abs/1705.07215
        E[(|g(x + noise)| - 1)^2]        noise from N(0, c I)
    Departure: the standard deviation of the noise is ``spread`` times that of all numbers in the batch, so that it
    suits any dataset.
    """

    def __init__(
        self,
        *,
        weight: Weight = 10.0,
        every: Every = 1,
        spread: Annotated[float, Option("Standard deviation of the noise, relative to that of the batch", gt=0)] = 0.5,
    ) -> None:
        super().__init__(weight=weight, every=every)
        self.spread = spread

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        sample = real[model.target]
        nearby = sample + self.spread * sample.std(correction=0) * torch.randn_like(sample)
        norm: Tensor = _gradient(model, nearby, real).norm(dim=1)  # (n,)
        return (norm - 1).square().mean()


class R1(Penalty):
    """The gradient should vanish at real samples: ``weight`` is the paper's gamma.

    Paper: Mescheder, Geiger, Nowozin, "Which Training Methods for GANs do actually Converge?", 2018,
        https://arxiv.org/abs/1801.04406, equation 9
        E[|g(x)|^2] / 2
    """

    def __init__(self, *, weight: Weight = 10.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        return _gradient(model, real[model.target], real).square().sum(dim=1).mean() / 2


class R2(R1):
    """The gradient should vanish at generated samples: ``weight`` is the paper's gamma.

    Paper: Mescheder, Geiger, Nowozin, 2018, https://arxiv.org/abs/1801.04406, equation 10
        E[|g(G(z))|^2] / 2
    """

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        return _gradient(model, _fake(self, shared), shared).square().sum(dim=1).mean() / 2


class Clip(Penalty):
    """No term: after each turn of the discriminator, all its weights are clipped to [-clip_value, clip_value].

    Paper: Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, https://arxiv.org/abs/1701.07875, algorithm 1
        w <- clip(w, -c, c)        c = 0.01
    Biases and the scales of normalization layers are clipped too.
    """

    required_methods = ()

    def __init__(
        self,
        *,
        clip_value: Annotated[float, Option("Largest absolute value of a weight: the paper's c", gt=0)] = 0.01,
        every: Annotated[int, Option("Clip every N steps", ge=1, le=10**9)] = 1,
    ) -> None:
        super().__init__(every=every)
        self.clip_value = clip_value

    def term(self, model: Model, real: Batch, shared: Batch) -> None:
        return None

    def after(self, model: Model) -> None:
        for parameter in model.parameters_of(self.player):
            parameter.clamp_(-self.clip_value, self.clip_value)


class L1(Penalty):
    """The mean absolute difference between each generated image and the real one that belongs to the same condition;
    ``weight`` is the paper's lambda. For models with condition fields, and datasets of pairs.

    Paper: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
        https://arxiv.org/abs/1611.07004, equation 3
        E|y - G(x)|        here also the mean over all pixels, of values in [-1, 1]
    """

    player = "generator"
    required_methods = ("generate", "condition_fields")

    def __init__(self, *, weight: Weight = 100.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def meet(self, model: Model, fields: Mapping[str, Field]) -> None:
        if unpaired := [name for name in model.condition_fields if not fields[name].paired]:
            name = unpaired[0]
            raise ValueError(f"it needs pairs, but the {name!r} of this dataset does not belong to its {model.target}")

    def term(self, model: Model, real: Batch, shared: Batch) -> Tensor:
        # With every > 1, the term has a turn of its own, after G has moved: the shared samples are out of date.
        fake = shared["fake"] if self.every == 1 else model.generate(shared)
        return l1_loss(fake, real[model.target])


def _gradient(model: Model, sample: Tensor, condition: Batch) -> Tensor:
    """Return the gradient (n, numbers per sample) of the scores with respect to the samples (n, *shape), with a
    graph."""
    sample = sample.detach().requires_grad_()
    score = model.discriminate(sample, condition)["score"]
    (gradient,) = torch.autograd.grad(score.sum(), sample, create_graph=True)
    return gradient.flatten(1)


def _between(real: Tensor, fake: Tensor) -> Tensor:
    """Return a random point (n, *shape) on the line between each real sample and its generated one."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    return torch.lerp(fake, real, share)


def _fake(penalty: Penalty, shared: Batch) -> Tensor:
    """Return the detached generated samples (n, *shape).

    Raises:
        UsageError: the loss does not share any.
    """
    if "fake" not in shared:
        raise UsageError(
            f"The penalty {type(penalty).__name__} looks at generated samples, but this loss shares none. "
            "Choose an adversarial loss, or a penalty that looks at real samples only, such as r1."
        )
    return shared["fake"].detach()
