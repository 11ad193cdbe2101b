"""Do parts fit each other? Called when an experiment is built; each mistake is one message.

Every function here raises ``UsageError`` if something does not fit.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from operator import attrgetter
from typing import Any

from ganzoo.augmentation import Augmentation
from ganzoo.data import Dataset
from ganzoo.errors import GanzooError, UsageError, nearest
from ganzoo.loss import TrainingPart, Turn
from ganzoo.model import Model
from ganzoo.parts import Part, ResolvedPart
from ganzoo.recipes import Recipe
from ganzoo.zoo import Zoo


def needed_fields(zoo: Zoo, recipe: Recipe) -> set[str]:
    """Return the batch fields that the parts of a recipe read, besides the target. Parts that are not installed or
    broken count as needing none: they are reported when they are built."""
    found: set[str] = set()
    for kind, _, choice in recipe.parts():
        if kind != "data":
            with suppress(GanzooError):
                found.update(_read_by(zoo.part(kind, choice.name).load()))
    return found


def _read_by(cls: Any) -> tuple[str, ...]:
    return (*cls.required_fields, *getattr(cls, "condition_fields", ()))


def check_fields(part: ResolvedPart, dataset: Dataset, data_name: str) -> None:
    """The dataset has the batch fields that a part reads."""
    for needed in _read_by(part.cls):
        if needed not in dataset.fields:
            present = ", ".join(f"{field} ({what})" for field, what in dataset.fields.items())
            raise UsageError(
                f"The {part.words} needs the batch field {needed!r}, which the dataset {data_name!r} does not have. "
                f"It has: {present}."
            )


def check_methods(zoo: Zoo, model: Model, model_name: str, part: ResolvedPart) -> None:
    """The model has the methods that a part needs."""
    for name in part.cls.required_methods:
        if not hasattr(model, name) or _inherited(type(model), name):
            having = [other for other in zoo.parts("model") if _class_has(other, name)]
            names = ", ".join(f"{other.name} (plugin {other.plugin.name})" for other in having) or "none"
            raise UsageError(
                f"The {part.words} needs a model with {name!r}, which {model_name!r} does not have. Models that have "
                f"it: {names}."
            )


def check_players(recipe: Recipe, model: Model, turns: Iterable[Turn], ema: float) -> None:
    """The model has the players that move, the networks that they own, and those that are averaged."""
    for player, networks in model.players.items():
        for network in networks:
            try:
                attrgetter(network)(model)
            except AttributeError:
                raise UsageError(
                    f"The model {recipe.model.name!r} says that {player!r} owns {network!r}, but has no such network."
                ) from None
    for network in model.ema_networks if ema else ():
        if not hasattr(model, network):
            raise UsageError(f"train.ema: the model {recipe.model.name!r} has no network {network!r} to average.")
    for turn in turns:
        if turn.player not in model.players:
            players = ", ".join(model.players)
            raise UsageError(
                f"The loss {recipe.loss.name!r} moves {turn.player!r}, but the model {recipe.model.name!r} has only "
                f"the players: {players}."
            )


def check_declarations(part: ResolvedPart, built: Model | TrainingPart, players: Collection[str]) -> None:
    """What a part says about itself is true: its phases are steps, its player and its frozen networks exist."""
    if not all(type(step) is int and step >= 0 for step in built.phases):
        raise UsageError(
            f"The {part.words} has phases = {built.phases!r:.80}; they must be steps, such as (1000, 2000)."
        )
    acts = part.player or (isinstance(built, Augmentation) and type(built).real_batch is not Augmentation.real_batch)
    if acts and (player := getattr(built, "player", "")) not in players:
        raise UsageError(
            f"The {part.words} is for {player!r}, but the players are: {', '.join(players)}. Choose one of these: "
            "player = NAME in its table."
        )
    for name in getattr(built, "frozen_networks", ()):
        modules = dict(built.named_modules())
        if name not in modules:
            raise UsageError(
                f"The {part.words} says in frozen_networks that {name!r} never changes, but has no such network. "
                f"{nearest(name, filter(None, modules))}"
            )


def _inherited(cls: type, name: str) -> bool:
    """Return whether a model class has an attribute only because the interface has it."""
    return hasattr(Model, name) and getattr(cls, name, None) == getattr(Model, name)


def _class_has(part: Part, name: str) -> bool:
    """Return whether another installed model has an attribute of its own, as far as its class shows: a method, or a
    network that belongs to a player."""
    try:
        cls = part.load()
    except GanzooError:  # a broken plugin is no suggestion
        return False
    networks = (network for owned in cls.players.values() for network in owned)
    return name in networks or (hasattr(cls, name) and not _inherited(cls, name))
