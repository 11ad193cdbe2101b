"""Players: who owns which parameters, and the optimiser that moves them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from ganzoo import options
from ganzoo.errors import UsageError, unknown
from ganzoo.model import Model
from ganzoo.options import Option

Rate = Annotated[float, Option("Learning rate", gt=0)]
Share = Annotated[float, Option("", ge=0, lt=1)]
Betas = Annotated[tuple[Share, Share], Option("Decay of the gradient's mean and of its square's")]
Epsilon = Annotated[float, Option("Added to the denominator", ge=0)]
Decay = Annotated[float, Option("Weight decay", ge=0)]
Parameters = Iterable[nn.Parameter]


def adam(
    parameters: Parameters,
    *,
    lr: Rate = 2e-4,
    betas: Betas = (0.9, 0.999),
    eps: Epsilon = 1e-8,
    weight_decay: Decay = 0.0,
) -> Optimizer:
    """Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980."""
    return Adam(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def adamw(
    parameters: Parameters,
    *,
    lr: Rate = 2e-4,
    betas: Betas = (0.9, 0.999),
    eps: Epsilon = 1e-8,
    weight_decay: Decay = 0.01,
) -> Optimizer:
    """Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101."""
    return AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def rmsprop(
    parameters: Parameters,
    *,
    lr: Rate = 5e-5,
    alpha: Annotated[float, Option("Decay of the squared gradient's mean", ge=0, lt=1)] = 0.99,
    eps: Epsilon = 1e-8,
    weight_decay: Decay = 0.0,
) -> Optimizer:
    """Tieleman and Hinton's lecture 6.5, 2012; what the first critics with clipped weights trained with."""
    return RMSprop(parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)


def sgd(
    parameters: Parameters,
    *,
    lr: Rate = 1e-2,
    momentum: Annotated[float, Option("Momentum", ge=0, lt=1)] = 0.0,
    weight_decay: Decay = 0.0,
) -> Optimizer:
    """Stochastic gradient descent."""
    return SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": adam, "adamw": adamw, "rmsprop": rmsprop, "sgd": sgd}


@dataclass
class Player:
    """One side of the game: its parameters, and the optimiser that is theirs."""

    parameters: list[nn.Parameter]
    optimizer: Optimizer

    def gradient_norm(self) -> Tensor:
        """Return the norm of all its gradients together: a scalar, on the device."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(list(torch._foreach_norm(gradients))))
        return norm

    def put_back(self, state: Mapping[str, Any]) -> None:
        """Load the optimiser's state. What it keeps of a parameter is laid out in memory as the parameter is: a file
        does not say how it was, and a fused optimiser takes it for granted."""
        self.optimizer.load_state_dict(dict(state))
        for parameter, kept in self.optimizer.state.items():
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    kept[name] = torch.empty_like(parameter).copy_(value)


def seat(model: Model, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Player]:
    """Return the model's players, each with an optimiser of its own; ``settings`` is what ``check_optimizers`` gave."""
    players = {}
    for name, parts in model.players.items():
        parameters = list(dict.fromkeys(p for part in parts for p in _parameters(attrgetter(part)(model))))
        kwargs = dict(settings[name])
        players[name] = Player(parameters, OPTIMIZERS[kwargs.pop("name")](parameters, **kwargs))
    return players


def check_optimizers(settings: Mapping[str, Any], players: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the complete optimiser settings of each player.

    Args:
        settings: the recipe's: ``name`` and that optimiser's settings for all, and tables named like a player that
            override them for that one.
        players: the model's players.

    Raises:
        UsageError: an unknown optimiser, player or setting, or a bad value.
    """
    players = list(players)
    shared = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    for key in settings.keys() - shared.keys() - set(players):
        raise unknown("player", key, players, "optimizer (a table there overrides the settings of one player)")
    return {player: _check(shared, settings.get(player, {}), player) for player in players}


def _check(shared: Mapping[str, Any], own: Any, player: str) -> dict[str, Any]:
    if not isinstance(own, Mapping):
        raise UsageError(f"optimizer.{player} = {own!r} must be a table of settings, such as optimizer.{player}.lr.")
    name = own.get("name", shared.get("name", "adam"))
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise unknown("optimizer", str(name), OPTIMIZERS, "optimizer.name")
    inherited = shared if name == shared.get("name", "adam") else {}  # another optimiser has settings of its own
    values = {key: value for key, value in {**inherited, **own}.items() if key != "name"}
    where = f"optimizer.{player}" if own else "optimizer"
    return {"name": name, **options.check(OPTIMIZERS[name], values, where)}


def _parameters(part: nn.Module | nn.Parameter) -> Iterable[nn.Parameter]:
    parameters = [part] if isinstance(part, nn.Parameter) else part.parameters()
    return (parameter for parameter in parameters if parameter.requires_grad)  # a frozen one is nobody's to move
