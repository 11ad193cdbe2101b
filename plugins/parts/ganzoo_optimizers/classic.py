"""Optimizers of torch.optim with described options, and with defaults that suit GANs. They compute what torch's do."""

from collections.abc import Iterable
from inspect import unwrap
from typing import Annotated, Any

import torch
from torch import nn, optim

from ganzoo import Option

LearningRate = Annotated[float, Option("Learning rate", gt=0)]
Share = Annotated[float, Option("", ge=0, lt=1)]
Betas = Annotated[tuple[Share, Share], Option("Decay of the running averages of the gradient and of its square")]
Epsilon = Annotated[float, Option("Added to the denominator", ge=0)]
WeightDecay = Annotated[float, Option("Weight decay", ge=0)]
Parameters = Iterable[nn.Parameter]


class _Eager(optim.Optimizer):
    """An optimizer that does not import torch's compiler, which takes most of a second. Torch's own methods do, only to
    tell it to leave them alone. Under their decorators, they are the same."""

    add_param_group = unwrap(optim.Optimizer.add_param_group)
    state_dict = unwrap(optim.Optimizer.state_dict)
    load_state_dict = unwrap(optim.Optimizer.load_state_dict)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.step = torch.no_grad()(unwrap(cls.step))  # type: ignore[method-assign]


class Adam(_Eager, optim.Adam):
    """Adam. Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: LearningRate = 2e-4,
        betas: Betas = (0.9, 0.999),
        eps: Epsilon = 1e-8,
        weight_decay: WeightDecay = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


class AdamW(_Eager, optim.AdamW):
    """AdamW. Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: LearningRate = 2e-4,
        betas: Betas = (0.9, 0.999),
        eps: Epsilon = 1e-8,
        weight_decay: WeightDecay = 0.01,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


class RMSprop(_Eager, optim.RMSprop):
    """RMSprop. Tieleman and Hinton, lecture 6.5, 2012; the optimizer of the original Wasserstein GAN."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: LearningRate = 5e-5,
        alpha: Annotated[float, Option("Decay of the running average of the squared gradient", ge=0, lt=1)] = 0.99,
        eps: Epsilon = 1e-8,
        weight_decay: WeightDecay = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)


class SGD(_Eager, optim.SGD):
    """Stochastic gradient descent."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: LearningRate = 1e-2,
        momentum: Annotated[float, Option("Momentum", ge=0, lt=1)] = 0.0,
        weight_decay: WeightDecay = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
