"""From a recipe to checked, built parts: everything that can be wrong is found here, before a directory is made."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import torch

from ganzoo import options
from ganzoo.data import Data, Field
from ganzoo.errors import GanzooError, UsageError, unknown
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.loss import Loss, Penalty, Turn
from ganzoo.model import Model
from ganzoo.plugins import Part, Zoo, describe
from ganzoo.registry import PARTS, PartChoice, Recipe
from ganzoo.training import randomness
from ganzoo.training.augment import augment
from ganzoo.training.game import moves
from ganzoo.training.players import OPTIMIZERS, check_optimizers
from ganzoo.training.settings import TrainSettings

_KINDS: dict[str, tuple[str, type]] = {
    "data": ("data", Data),
    "model": ("models", Model),
    "loss": ("losses", Loss),
    "penalty": ("penalties", Penalty),
}
_T = TypeVar("_T")

EVALUATION_SEED = 1
"""Of what is measured while it trains: the same for all runs, so that they compare; and not the 0 that a user's
evaluation has by default, so that the best is not judged by the very samples it was chosen by. A model that draws no
noise makes the same samples all the same: see ``Data.validation``."""


@dataclass(frozen=True)
class Experiment:
    """What the loop trains. ``recipe`` is the resolved one: every setting is in it; ``held_out`` are the data that the
    evaluator looks at."""

    recipe: Recipe
    settings: TrainSettings
    device: torch.device
    data: Data
    model: Model
    loss: Loss
    penalties: Mapping[str, Penalty]
    turns: tuple[Turn, ...]
    optimizers: Mapping[str, Mapping[str, Any]]
    evaluator: Evaluator | None
    held_out: PartChoice


def build(zoo: Zoo, recipe: Recipe) -> Experiment:
    """Check a recipe against the parts it names, and build them. The model's first weights come from the seed alone.

    Raises:
        UsageError: an unknown name, a setting that does not fit, or parts that do not fit each other.
        GanzooError: a part cannot be imported or built.
    """
    settings = TrainSettings(**options.check(TrainSettings, recipe.train, "train"))
    device = choose_device(settings.device)
    classes = {kind: load_class(zoo, kind, getattr(recipe, kind).name) for kind in PARTS}
    chosen = {kind: options.check(classes[kind], getattr(recipe, kind).settings, kind) for kind in PARTS}
    terms = {name: load_class(zoo, "penalty", name) for name in recipe.penalties}
    weights = {name: options.check(terms[name], _table(recipe, name), f"penalties.{name}") for name in terms}
    optimizers = check_optimizers(recipe.optimizer, classes["model"].players)

    with randomness.preserved():
        randomness.seed_global(randomness.derive(settings.seed, "weights"))
        names = {kind: getattr(recipe, kind).name for kind in PARTS}
        data = _construct(zoo, "data", names["data"], lambda: classes["data"](**chosen["data"]))
        if not getattr(data, "fields", None) or not len(data):
            raise UsageError(f"The data {recipe.data.name!r} are empty: they have no fields, or no examples.")
        for kind in ("model", "loss"):
            _check_fields(recipe, data, kind, names[kind], classes[kind])
        for name, penalty in terms.items():
            _check_fields(recipe, data, "penalty", name, penalty)
        model = _construct(zoo, "model", names["model"], lambda: classes["model"](data.fields, **chosen["model"]))
        loss = _construct(zoo, "loss", names["loss"], lambda: classes["loss"](**chosen["loss"]))
        penalties: dict[str, Penalty] = {
            name: _construct(zoo, "penalty", name, partial(terms[name], **weights[name])) for name in terms
        }
    for network in model.averaged if settings.ema else ():
        if not hasattr(model, network):
            raise UsageError(f"train.ema: the model {recipe.model.name!r} has no network {network!r} to average.")
    turns = _construct(zoo, "loss", names["loss"], lambda: moves(loss, penalties))
    _check_uses(zoo, data, model, names["model"], f"The loss {names['loss']!r}", loss.uses)
    for name, penalty in penalties.items():
        _check_uses(zoo, data, model, names["model"], f"The penalty {name!r}", penalty.uses)
    _check_game(recipe, model, turns)
    if settings.augment:
        augment(model, settings.augment, data.fields[model.target].shape)

    parts: dict[str, Any] = {
        kind: PartChoice(names[kind], options.plain(classes[kind], chosen[kind])) for kind in PARTS
    }
    parts["penalties"] = {name: options.plain(terms[name], weights[name]) for name in terms}
    train = options.plain(TrainSettings, asdict(settings))
    resolved = replace(recipe, train=train, optimizer=_plain_optimizers(optimizers), evidence={}, **parts)
    for part in (model, loss, *penalties.values()):
        part.to(device)
    evaluator, held_out = None, resolved.data
    if settings.evaluate_every:
        evaluator, held_out = _evaluator(zoo, resolved, settings, data, model, device)
    return Experiment(resolved, settings, device, data, model, loss, penalties, turns, optimizers, evaluator, held_out)


def build_data(
    zoo: Zoo, recipe: Recipe, settings: Mapping[str, Any], *, held_out: bool = False
) -> tuple[Data, PartChoice]:
    """Build a recipe's data alone, with some settings changed, and first of all with those it is to be evaluated with
    if ``held_out``; and return them with all their settings.

    Raises:
        UsageError, GanzooError: as ``build``.
    """
    kind: type[Data] = load_class(zoo, "data", recipe.data.name)
    chosen = options.check(kind, {**recipe.data.settings, **(kind.held_out if held_out else {}), **settings}, "data")
    with randomness.preserved():
        data = _construct(zoo, "data", recipe.data.name, lambda: kind(**chosen))
    return data, PartChoice(recipe.data.name, options.plain(kind, chosen))


def build_model(zoo: Zoo, recipe: Recipe, fields: Mapping[str, Field]) -> Model:
    """Build a recipe's model alone, for data of these fields: to load weights into, without the data.

    Raises:
        UsageError, GanzooError: as ``build``.
    """
    model: type[Model] = load_class(zoo, "model", recipe.model.name)
    chosen = options.check(model, recipe.model.settings, "model")
    with randomness.preserved():
        return _construct(zoo, "model", recipe.model.name, lambda: model(fields, **chosen))


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` takes the first there is of cuda, mps and cpu.

    Raises:
        UsageError: this machine, or this build of torch, has no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name not in (*there, "auto"):
        raise unknown("device", name, (*there, "auto"))
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there[name]:
        raise UsageError(f"There is no device {name!r} here (torch {torch.__version__}). Use --device auto or cpu.")
    return torch.device(name)


def load_class(zoo: Zoo, kind: str, name: str) -> Any:
    """Import a data set, model, loss or penalty by name.

    Raises:
        UsageError: nobody brings it.
        GanzooError: it cannot be imported, or is not what its plugin says it is.
    """
    hook, interface = _KINDS[kind]
    part = zoo.part(hook, name)
    found = part.load()
    if not (isinstance(found, type) and issubclass(found, interface)):
        raise GanzooError(f"The {kind} {name!r} of the plugin {part.plugin} is {found!r}, not a {interface.__name__}.")
    return found


def _evaluator(
    zoo: Zoo, recipe: Recipe, settings: TrainSettings, data: Data, model: Model, device: torch.device
) -> tuple[Evaluator, PartChoice]:
    """Return what measures the model while it trains, by one metric, unless the recipe names more; and on what data."""
    choice = recipe.data
    if data.held_out or data.validation:
        data, choice = build_data(zoo, recipe, data.validation, held_out=True)
    metrics = settings.metrics or data.metrics[:1]
    n = min(settings.evaluate_samples, len(data))
    return Evaluator(zoo, data, model, metrics=metrics, n=n, seed=EVALUATION_SEED, device=device), choice


def _table(recipe: Recipe, penalty: str) -> Mapping[str, Any]:
    settings = recipe.penalties[penalty]
    if not isinstance(settings, Mapping):
        raise UsageError(
            f"penalties.{penalty} = {settings!r} must be a table of settings, such as penalties.{penalty}.weight."
        )
    return settings


def _construct(zoo: Zoo, kind: str, name: str, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except GanzooError:
        raise
    except ValueError as error:
        raise UsageError(f"The {kind} {name!r} does not fit: {error}.") from error
    except Exception as error:
        plugin = zoo.part(_KINDS[kind][0], name).plugin
        raise UsageError(
            f"The {kind} {name!r} of the plugin {plugin} could not be built with these settings: {describe(error)}."
        ) from error


def _check_fields(recipe: Recipe, data: Data, kind: str, name: str, part: type[Model | Loss | Penalty]) -> None:
    for needed in (*part.needs, *getattr(part, "given", ())):
        if needed not in data.fields:
            there = ", ".join(f"{field} ({what})" for field, what in data.fields.items())
            raise UsageError(
                f"The {kind} {name!r} needs the batch field {needed!r}, which the data {recipe.data.name!r} do not "
                f"have; they have: {there}."
            )


def _check_uses(zoo: Zoo, data: Data, model: Model, name: str, what: str, uses: Iterable[str]) -> None:
    for attribute in uses:
        if not _has(model, attribute):
            having = [part for part in zoo.parts("models") if _would_have(part, data, attribute)]
            names = (
                ", ".join(f"{part.name} (plugin {part.plugin.name})" for part in having) or "none that fits these data"
            )
            raise UsageError(
                f"{what} asks the model for {attribute!r}, which {name!r} does not have; these do: {names}."
            )


def _check_game(recipe: Recipe, model: Model, turns: tuple[Turn, ...]) -> None:
    what = f"The loss {recipe.loss.name!r}"
    for player, networks in model.players.items():
        for network in networks:
            try:
                attrgetter(network)(model)
            except AttributeError:
                raise UsageError(
                    f"The model {recipe.model.name!r} says that {player!r} owns {network!r}, but has no such network."
                ) from None
    for turn in turns:
        if turn.player not in model.players:
            players = ", ".join(model.players)
            raise UsageError(f"{what} moves {turn.player!r}, but the model {recipe.model.name!r} has: {players}.")


def _has(model: Model, attribute: str) -> bool:
    """Return whether a model has an attribute, or a method it did not just inherit from the interface."""
    inherited = getattr(type(model), attribute, None) is getattr(Model, attribute, model)
    return hasattr(model, attribute) and not inherited


def _would_have(part: Part, data: Data, attribute: str) -> bool:
    """Return whether another installed model, as it is by default, fits these data and has the attribute."""
    try:
        with randomness.preserved():
            return _has(part.load()(data.fields), attribute)
    except Exception:  # whatever is wrong with it, it is no answer
        return False


def _plain_optimizers(checked: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the optimiser settings in full: once where all players have the same, else a table a player."""
    plain = {}
    for player, settings in checked.items():
        rest = {key: value for key, value in settings.items() if key != "name"}
        plain[player] = {"name": settings["name"], **options.plain(OPTIMIZERS[settings["name"]], rest)}
    same = all(settings == next(iter(plain.values())) for settings in plain.values())
    return dict(next(iter(plain.values()))) if same and plain else plain
