"""Players: the parameters that each owns, and the optimizer that updates them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganzoo import options
from ganzoo.errors import UsageError, unknown
from ganzoo.model import Model
from ganzoo.options import Option
from ganzoo.parts import ResolvedPart, resolve
from ganzoo.recipes import PartChoice
from ganzoo.zoo import Zoo


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a player's learning rate changes over the steps, and how its gradients are clipped. The learning rate is a
    function of the step, so there is nothing to resume. The names are those of torch.optim.lr_scheduler."""

    schedule: Annotated[
        Literal["constant", "linear", "cosine", "step"],
        Option("Learning rate after decay_from: constant; to 0 linearly or as a cosine; times gamma every step_size"),
    ] = "constant"
    warmup: Annotated[int, Option("Steps in which the learning rate rises linearly from 0", ge=0, le=10**9)] = 0
    decay_from: Annotated[int, Option("Step from which the schedule applies", ge=0, le=10**12)] = 0
    step_size: Annotated[int, Option("Steps between decays of the schedule step", ge=1, le=10**12)] = 10_000
    gamma: Annotated[float, Option("Factor of each decay of the schedule step", gt=0, le=1)] = 0.1
    clip: Annotated[float, Option("Largest norm of all gradients together; 0 for no clipping", ge=0)] = 0.0

    @property
    def constant(self) -> bool:
        """Whether the learning rate never changes."""
        return self.schedule == "constant" and not self.warmup

    def factor(self, step: int, total_steps: int) -> float:
        """Return the factor of the learning rate in a step, counted from 1."""
        warm = min(1.0, step / self.warmup) if self.warmup else 1.0
        past = max(0, step - self.decay_from)
        if self.schedule == "step":
            return warm * self.gamma ** (past // self.step_size)
        share = past / max(1, total_steps - self.decay_from + 1)  # below 1 in the last step: it still moves
        if self.schedule == "linear":
            return warm * (1 - min(1.0, share))
        if self.schedule == "cosine":
            return warm * (1 + math.cos(math.pi * min(1.0, share))) / 2
        return warm


SCHEDULE = {field.name: field.default for field in fields(Schedule)}


@dataclass
class Player:
    """One player: its parameters and their optimizer."""

    parameters: list[nn.Parameter]
    optimizer: Optimizer
    schedule: Schedule

    def __post_init__(self) -> None:
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]

    def move(self, step: int, total_steps: int, rate: float = 1.0) -> None:
        """Make one optimizer step with the gradients as they are, at the learning rate of this step."""
        if self.schedule.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip)
        if not self.schedule.constant or rate != 1.0:
            self.set_rates(rate * self.schedule.factor(step, total_steps))
        self.optimizer.step()
        if rate != 1.0:
            self.set_rates(self.schedule.factor(step, total_steps))

    def set_rates(self, factor: float) -> None:
        """Set the learning rate to ``factor`` times that of the settings."""
        for group, base in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = base * factor

    def gradient_norm(self) -> Tensor:
        """Return the norm of all its gradients together, a scalar on the device."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(list(torch._foreach_norm(gradients))))
        return norm

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of the optimizer. Its tensors get the memory layout of their parameters, which files do not
        record and fused optimizers require."""
        self.optimizer.load_state_dict(dict(state))
        self.set_rates(1.0)
        for parameter, kept in self.optimizer.state.items():
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    kept[name] = torch.empty_like(parameter).copy_(value)


def learning_rates(players: Mapping[str, Player], step: int, total_steps: int) -> dict[str, float]:
    """Return ``lr/<player>`` -> learning rate in a step, for players with a schedule."""
    scheduled = {name: player for name, player in players.items() if not player.schedule.constant}
    return {
        f"lr/{name}": player.base_rates[0] * player.schedule.factor(step, total_steps)
        for name, player in scheduled.items()
    }


@dataclass(frozen=True)
class OptimizerSettings:
    """The optimizer of a player, and how its learning rate changes."""

    part: ResolvedPart
    schedule: Schedule

    def plain(self) -> dict[str, Any]:
        """Return all settings as a recipe holds them."""
        choice = self.part.choice
        return {"name": choice.name, **choice.options, **options.plain(Schedule, asdict(self.schedule))}


def build_players(model: Model, settings: Mapping[str, OptimizerSettings]) -> dict[str, Player]:
    """Return the model's players, each with an optimizer of its own.

    Raises:
        UsageError: an optimizer cannot be built.
    """
    players = {}
    for name in model.players:
        parameters, chosen = list(model.parameters_of(name)), settings[name]
        optimizer = chosen.part.build(parameters)
        if not all("lr" in group for group in optimizer.param_groups):
            raise UsageError(f"The {chosen.part.words} has no learning rate 'lr' in its parameter groups.")
        players[name] = Player(parameters, optimizer, chosen.schedule)
    return players


def check_optimizers(zoo: Zoo, settings: Mapping[str, Any], players: Iterable[str]) -> dict[str, OptimizerSettings]:
    """Return the complete optimizer settings of each player.

    Args:
        zoo: the plugins.
        settings: those of the recipe: ``name`` and the settings of that optimizer for all players, and tables named
            like a player, which override them for that player.
        players: the model's players.

    Raises:
        UsageError: an unknown optimizer, player or setting, or a bad value.
    """
    players = list(players)
    shared = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    for key in settings.keys() - shared.keys() - set(players):
        raise unknown("player", key, players, "optimizer (a table there overrides the settings of one player)")
    return {player: _check(zoo, shared, settings.get(player, {}), player) for player in players}


def plain_optimizers(checked: Mapping[str, OptimizerSettings]) -> dict[str, Any]:
    """Return complete optimizer settings as a recipe holds them: once if all players have the same, otherwise one table
    per player."""
    plain = {player: settings.plain() for player, settings in checked.items()}
    first = next(iter(plain.values()), {})
    return dict(first) if all(settings == first for settings in plain.values()) else plain


def _check(zoo: Zoo, shared: Mapping[str, Any], own: Any, player: str) -> OptimizerSettings:
    if not isinstance(own, Mapping):
        raise UsageError(f"optimizer.{player} = {own!r} must be a table of settings, such as optimizer.{player}.lr.")
    where = f"optimizer.{player}" if own else "optimizer"
    name = own.get("name", shared.get("name", "adam"))
    if not isinstance(name, str):
        raise UsageError(f"{where}.name must be text, not {name!r}.")
    part = zoo.part("optimizer", name)
    # Another optimizer has settings of its own; the schedule is the same for all.
    inherited = {k: v for k, v in shared.items() if k in SCHEDULE or name == shared.get("name", "adam")}
    values = {key: value for key, value in {**inherited, **own}.items() if key != "name"}
    known = [*(option.name for option in options.options_of(part.load())), *SCHEDULE]
    if wrong := sorted(values.keys() - set(known)):
        raise unknown("setting", f"{where}.{wrong[0]}", [f"{where}.{key}" for key in known])
    schedule = options.check(Schedule, {key: value for key, value in values.items() if key in SCHEDULE}, where)
    own_values = {key: value for key, value in values.items() if key not in SCHEDULE}
    return OptimizerSettings(resolve(part, PartChoice(name, own_values), where), Schedule(**schedule))
