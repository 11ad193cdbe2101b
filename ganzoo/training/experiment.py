"""Checks a recipe and builds its parts. Every mistake is found here, before a directory is made."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import torch

from ganzoo import distributed, options, randomness
from ganzoo.augmentation import Augmentation, augment
from ganzoo.data import Dataset, Field
from ganzoo.errors import UsageError, unknown, warn
from ganzoo.evaluation.evaluator import Evaluator, TooFewSamples
from ganzoo.loss import Loss, Penalty, TrainingPart
from ganzoo.model import Model
from ganzoo.parts import ResolvedPart, resolve
from ganzoo.recipes import LISTS, PARTS, PartChoice, Recipe
from ganzoo.training import fit
from ganzoo.training.players import OptimizerSettings, check_optimizers, plain_optimizers
from ganzoo.training.settings import TrainSettings
from ganzoo.training.turns import build_turns
from ganzoo.zoo import Zoo

EVALUATION_SEED = 1
"""Seed of evaluations during training. It is the same for all runs, so that they compare. It is not 0, the default of
``ganzoo evaluate``, so that the best checkpoint is not evaluated on the samples that selected it. (A model without
noise makes the same samples anyway: see ``Dataset.validation_options``.)"""


@dataclass(frozen=True)
class Experiment:
    """What is trained.

    Attributes:
        recipe: the resolved recipe: every setting is in it.
        optimizers: player -> the settings of its optimizer.
        evaluator: used during training; None if there are no evaluations.
        eval_data: the dataset that the evaluator uses, with all its options.
    """

    recipe: Recipe
    settings: TrainSettings
    device: torch.device
    dataset: Dataset
    model: Model
    loss: Loss
    penalties: Mapping[str, Penalty]
    augmentations: Mapping[str, Augmentation]
    optimizers: Mapping[str, OptimizerSettings]
    evaluator: Evaluator | None
    eval_data: PartChoice

    @property
    def training_parts(self) -> dict[str, TrainingPart]:
        """The loss, the penalties and the augmentations, by the paths of their settings."""
        penalties = {f"penalties.{name}": penalty for name, penalty in self.penalties.items()}
        augmentations = {f"augmentations.{name}": found for name, found in self.augmentations.items()}
        return {"loss": self.loss, **penalties, **augmentations}

    @property
    def batch_fields(self) -> set[str]:
        """The fields of a batch that its parts read."""
        read = [*self.model.required_fields, *self.model.condition_fields]
        return {self.model.target, *read, *chain(*(part.required_fields for part in self.training_parts.values()))}

    def copied(self) -> "Experiment":
        """Return this experiment with copies of its parts."""
        names = ("model", "loss", "penalties", "augmentations")
        return replace(self, **copy.deepcopy({name: getattr(self, name) for name in names}))


def build(zoo: Zoo, recipe: Recipe, dataset: Dataset | None = None) -> Experiment:
    """Check a recipe against the parts it names, and build them. The initial weights depend on the seed only.

    Args:
        zoo: the plugins.
        recipe: what to build.
        dataset: used instead of the recipe's.

    Raises:
        UsageError: an unknown name, a setting that does not fit, or parts that do not fit each other.
        GanzooError: a part cannot be imported or built.
    """
    settings = TrainSettings(**options.check(TrainSettings, recipe.train, "train"))
    device = choose_device(settings.device)
    parts = resolve_parts(zoo, recipe)
    optimizers = check_optimizers(zoo, recipe.optimizer, parts["model"].cls.players)

    with randomness.preserved():
        randomness.seed_global(randomness.derive(settings.seed, "weights"))
        dataset = parts["data"].build() if dataset is None else dataset
        if not getattr(dataset, "fields", None) or not len(dataset):
            raise UsageError(f"The {parts['data'].words} is empty: it has no fields or no examples.")
        for path, part in parts.items():
            if path != "data":
                fit.check_fields(part, dataset, recipe.data.name)
        model: Model = parts["model"].build(dataset.fields)
        terms: dict[str, Any] = {path: part.build() for path, part in parts.items() if path not in ("data", "model")}
        penalties, augmentations = _listed(terms, "penalties"), _listed(terms, "augmentations")
        with parts["loss"].blamed():
            turns = build_turns(terms["loss"], penalties)
        for path in terms:
            fit.check_methods(zoo, model, recipe.model.name, parts[path])
        fit.check_players(recipe, model, turns, settings.ema)
        fit.check_declarations(parts["model"], model, model.players)
        for path, term in terms.items():
            with parts[path].blamed():
                term.meet(model, dataset.fields)
            fit.check_declarations(parts[path], term, model.players)
        augment(model, augmentations)

    resolved = _resolved(recipe, parts, settings, optimizers)
    for module in (model, *terms.values()):
        module.to(device)
    experiment = Experiment(
        resolved,
        settings,
        device,
        dataset,
        model,
        terms["loss"],
        penalties,
        augmentations,
        optimizers,
        None,
        resolved.data,
    )
    return _with_evaluator(zoo, experiment) if settings.evaluate_every else experiment


def resolve_parts(zoo: Zoo, recipe: Recipe) -> dict[str, ResolvedPart]:
    """Return the parts of a recipe, with their options checked, by the paths of their settings, such as ``model`` and
    ``penalties.r1``.

    Raises:
        UsageError, GanzooError: as ``build``.
    """
    return {path: resolve(zoo.part(kind, choice.name), choice, path) for kind, path, choice in recipe.parts()}


def resolve_part(zoo: Zoo, recipe: Recipe, kind: str, extra: Mapping[str, Any] | None = None) -> ResolvedPart:
    """Return the dataset, model or loss of a recipe, with its options checked; ``extra`` options replace the recipe's.

    Raises:
        UsageError, GanzooError: as ``build``.
    """
    choice: PartChoice = getattr(recipe, kind)
    return resolve(zoo.part(kind, choice.name), replace(choice, options={**choice.options, **(extra or {})}), kind)


def build_data(
    zoo: Zoo, recipe: Recipe, changes: Mapping[str, Any], *, for_evaluation: bool = False
) -> tuple[Dataset, PartChoice]:
    """Build the dataset of a recipe and return it with all its options.

    Args:
        zoo: the plugins.
        recipe: names the dataset.
        changes: options to change.
        for_evaluation: apply the dataset's ``eval_options`` first.

    Raises:
        UsageError, GanzooError: as ``build``.
    """
    part = zoo.part("data", recipe.data.name)
    eval_options = part.load().eval_options if for_evaluation else {}
    resolved = resolve_part(zoo, recipe, "data", {**eval_options, **changes})
    with randomness.preserved():
        return resolved.build(), resolved.choice


def build_model(zoo: Zoo, recipe: Recipe, fields: Mapping[str, Field]) -> Model:
    """Build the model of a recipe without its dataset, to load weights into.

    Raises:
        UsageError, GanzooError: as ``build``.
    """
    resolved = resolve_part(zoo, recipe, "model")
    with randomness.preserved():
        model: Model = resolved.build(fields)
    return model


def choose_device(name: str) -> torch.device:
    """Return the device of that name, such as ``cpu`` or ``cuda:1``; ``auto`` takes the first available of cuda, mps
    and cpu.

    Raises:
        UsageError: this machine, or this build of torch, has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if name == "cuda" and distributed.world_size() > 1:
        name = f"cuda:{distributed.local_rank()}"
    kind, colon, number = name.partition(":")
    if kind not in available or (colon and kind != "cuda") or (colon and not number.isdecimal()):
        raise unknown("device", name, (*available, "auto"))
    if not available[kind] or (number and int(number) >= torch.cuda.device_count()):
        raise UsageError(f"Device {name!r} is not available (torch {torch.__version__}). Use --device auto or cpu.")
    return torch.device(name)


def _listed(parts: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Return the parts of a table of the recipe, by name: ``penalties.r1`` is called ``r1``."""
    return {path.removeprefix(f"{table}."): part for path, part in parts.items() if path.startswith(f"{table}.")}


def _resolved(
    recipe: Recipe,
    parts: Mapping[str, ResolvedPart],
    settings: TrainSettings,
    optimizers: Mapping[str, OptimizerSettings],
) -> Recipe:
    """Return the recipe with every setting in it."""
    chosen: dict[str, Any] = {kind: parts[kind].choice for kind in PARTS}
    for table in LISTS:
        chosen[table] = {name: part.choice.table(name) for name, part in _listed(parts, table).items()}
    return replace(
        recipe,
        train=options.plain(TrainSettings, asdict(settings)),
        optimizer=plain_optimizers(optimizers),
        **chosen,
    )


def _with_evaluator(zoo: Zoo, experiment: Experiment) -> Experiment:
    """Return the experiment with an evaluator, which uses one metric unless the recipe names more; or without
    evaluations if there are too few samples for that."""
    recipe, settings, dataset = experiment.recipe, experiment.settings, experiment.dataset
    choice = recipe.data
    if separate := bool(dataset.eval_options or dataset.validation_options):
        dataset, choice = build_data(zoo, recipe, dataset.validation_options, for_evaluation=True)
    try:
        evaluator = Evaluator(
            zoo,
            dataset,
            experiment.model,
            metrics=settings.metrics,
            first_only=True,
            n=min(settings.evaluate_samples, len(dataset)),
            seed=EVALUATION_SEED,
            device=experiment.device,
            training=(lambda: experiment.dataset) if separate else None,
        )
    except TooFewSamples as error:
        if settings.metrics or settings.evaluate_samples < len(dataset):
            raise
        warn(f"{error} There are no evaluations, so no checkpoint is chosen as the best.")
        settings = replace(settings, evaluate_every=0)
        train = options.plain(TrainSettings, asdict(settings))
        return replace(experiment, settings=settings, recipe=replace(recipe, train=train))
    return replace(experiment, evaluator=evaluator, eval_data=choice)
