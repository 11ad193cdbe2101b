"""The Python API: what the command line does, as functions."""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

from ganzoo import distributed
from ganzoo.errors import UsageError, nearest, warn
from ganzoo.recipes import LISTS, PARTS, Recipe
from ganzoo.run import Run
from ganzoo.runs import together
from ganzoo.runs.directory import RECIPE, RunDirectory
from ganzoo.runs.recovery import newest_checkpoint
from ganzoo.training import auto, initial, processes
from ganzoo.training.acceleration import restore
from ganzoo.training.dry_run import dry_run
from ganzoo.training.experiment import Experiment, build
from ganzoo.training.fit import needed_fields
from ganzoo.training.identity import Change, accepted, changed_data, check_paths, facts_of, in_words, settings_of
from ganzoo.training.opening import nearest_recipe, with_data
from ganzoo.training.state import TrainingState
from ganzoo.training.trainer import Trainer
from ganzoo.zoo import Zoo


class ResumeOptions(TypedDict, total=False):
    """Keyword arguments of ``ganzoo.resume``. None keeps the current value.

    Attributes:
        epochs, steps: the length of the run; give one of them.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        accumulate: micro-batches per step.
        precision: what networks compute with in training: ``fp32``, ``bf16`` or ``auto``.
        compile: whether networks are compiled: ``off``, ``on`` or ``auto``.
        checkpoint_every: steps between checkpoints.
        evaluate_every: steps between evaluations.
        on_collapse: ``warn``, ``stop`` or ``rollback``.
        settings: other settings by path, such as ``{"optimizer.lr": 1e-4}``. A resume can change learning rates,
            schedules, clipping, lengths, intervals, and where the data are.
    """

    epochs: int | None
    steps: int | None
    device: str | None
    accumulate: int | None
    precision: str | None
    compile: str | None
    checkpoint_every: int | None
    evaluate_every: int | None
    on_collapse: str | None
    settings: Mapping[str, Any] | None


class TrainOptions(ResumeOptions, total=False):
    """Keyword arguments of ``ganzoo.train``, in addition to those in ``ResumeOptions``. None keeps the recipe's value.

    Attributes:
        batch_size: examples per step.
        seed: the random seed.
        data, model, loss: names of parts to use instead of the recipe's. ``data`` may also be the path of a folder or a
            file that a dataset opens; the run is then called by it.
        penalties, augmentations: names of those to use instead of the recipe's.
        settings: any other settings by path, such as ``{"model.latent_dim": 64}``.
    """

    batch_size: int | None
    seed: int | None
    data: str | PathLike[str] | None
    model: str | None
    loss: str | None
    penalties: Sequence[str] | None
    augmentations: Sequence[str] | None


def train(
    recipe: str | PathLike[str] | Recipe,
    *,
    out: str | PathLike[str] | None = None,
    init: str | PathLike[str] | None = None,
    zoo: Zoo | None = None,
    **options: Unpack[TrainOptions],
) -> Run:
    """Train a recipe and return the run.

    Args:
        recipe: a name from the zoo (``"fc-mnist"``), the path of a recipe file, or a recipe. The first part of a name
            is enough if no other recipe begins so; with ``data``, the one that was made for the most similar data is
            used.
        out: the run directory; ``runs/NAME/TIME`` if None.
        init: start from the weights of another run (its directory) or of a safetensors file. What fits by name and
            shape is copied; a line on standard error says how much. The source is not needed afterwards.
        zoo: the plugins; looked up if None.
        options: the keyword arguments in ``TrainOptions``.

    Raises:
        UsageError: a name or a setting is wrong, parts do not fit, or nothing in ``init`` does; nothing was written.
        GanzooError: training could not continue; the run directory holds the last valid checkpoint, if one was saved.
        Interrupted: Ctrl-C or SIGTERM. The step was finished and saved, unless a second signal came more than a second
            later.
    """
    processes.check_loader()
    _check_names("train", options, TrainOptions)
    with distributed.launched():
        return _train(recipe, out, init, zoo or Zoo(), options)


def _train(
    recipe: str | PathLike[str] | Recipe,
    out: str | PathLike[str] | None,
    init: str | PathLike[str] | None,
    zoo: Zoo,
    options: TrainOptions,
) -> Run:
    source = initial.read(Path(init)) if init is not None else None
    dataset = None
    if (data := options.pop("data", None)) is None:
        chosen = adapt(zoo.find(recipe), **options)
    else:
        pairs = []
        for original in zoo.candidates(recipe):
            needed = needed_fields(zoo, adapt(original, **options))
            pairs.append((original, adapt(with_data(zoo, original, data, needed), **options)))
        chosen, dataset = nearest_recipe(zoo, pairs)
    path = Path(out) if out is not None else None
    if again := together.interrupted(path, chosen.name):
        return resume(again, zoo=zoo)
    experiment = build(zoo, chosen, dataset)
    origin = initial.initialize(experiment.model, source) if source else None
    state = TrainingState(experiment)
    _check_equal(state)
    dry_run(state)
    if (decided := auto.decide(state)) is not state:
        state = decided
        dry_run(state)
    state.origin = origin
    if origin:
        print(initial.in_words(origin), file=sys.stderr, flush=True)
    with together.created(path, state.experiment.recipe) as directory:
        Trainer(state, directory, zoo).run()
    return _finished(directory, state, zoo)


def resume(
    directory: str | PathLike[str],
    *,
    accept_new_data: bool = False,
    zoo: Zoo | None = None,
    **options: Unpack[ResumeOptions],
) -> Run:
    """Resume a run from its newest valid checkpoint, bit for bit as if it had never stopped. A run that never saved one
    starts over. If its checkpoints are gone, nothing is changed.

    Args:
        directory: the run directory.
        accept_new_data: continue even if the dataset has other examples than before; this is recorded in run.json.
        zoo: the plugins; looked up if None.
        options: the keyword arguments in ``ResumeOptions``. Each change is recorded in run.json, with its step.

    Raises:
        UsageError: this is not a run directory, the run is already past the requested length, a setting cannot change
            in a run, or the dataset is not the one it was trained with.
        GanzooError: another process is training here, no checkpoint is there or valid, or training could not continue.
        Interrupted: Ctrl-C or SIGTERM. The step was finished and saved, unless a second signal came more than a second
            later.
    """
    processes.check_loader()
    _check_names("resume", options, ResumeOptions)
    with distributed.launched():
        return _resume(Path(directory), accept_new_data, zoo or Zoo(), options)


def _resume(directory: Path, accept_new_data: bool, zoo: Zoo, options: ResumeOptions) -> Run:
    with together.opened(directory) as run:
        saved = distributed.from_first(lambda: newest_checkpoint(run))  # first: without one, nothing is changed
        if saved and not saved.complete:
            command = shlex.join(["ganzoo", "run", str(run.path / RECIPE), "--init", str(run.path)])
            raise UsageError(
                f"The checkpoint of step {saved.step} in {run.path} has no training state, so the run cannot continue. "
                f"To start a new run from its weights: {command}"
            )
        experiment = _rebuilt(zoo, run, **options)
        try:
            state = auto.decide(TrainingState(experiment))
        except UsageError:  # such as a batch that is larger than the dataset: if that has changed, say so
            if saved and not accept_new_data:
                changed_data(saved.rest, facts_of(experiment.dataset), accept=False, step=saved.step)
            raise
        _check_equal(state)
        known = len(saved.rest.get("changes", [])) if saved else 0
        if saved:
            state.accept_new_data = accept_new_data or accepted(run.status.get("changes"), state.stream.facts)
            state.load_state_dict(saved)
        if state.step > state.total_steps:
            raise UsageError(
                f"{run.path} is already at step {state.step}, past the requested {state.total_steps}. "
                "Give more --epochs or --steps."
            )
        if state.step < state.total_steps or run.status.get("state") != "finished":
            run.rewind(state.step, state.rollbacks)
            run.write_recipe(state.experiment.recipe)
            _tell(state.changes[known:])
            Trainer(state, run, zoo).run()
        else:
            warn(f"{run.path} is finished, at step {state.step}. Give more --epochs or --steps to continue.")
    return _finished(run, state, zoo)


def adapt(recipe: Recipe, **options: Unpack[TrainOptions]) -> Recipe:
    """Return a copy of the recipe with the given settings; None leaves a setting unchanged.

    Raises:
        UsageError: an unknown setting, or both epochs and steps.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for kind in PARTS:
        if kind in given:
            recipe = recipe.with_part(kind, given.pop(kind))
    for table in LISTS:
        if table in given:
            recipe = recipe.with_listed(table, given.pop(table))
    settings = given.pop("settings", {})
    for path in sorted(settings, key=lambda path: not str(path).endswith(".name")):  # a part before its options
        recipe = recipe.with_setting(path, settings[path])
    if {"epochs", "steps"} <= given.keys():
        raise UsageError("Give epochs or steps, not both.")
    train = dict(recipe.train)
    if "epochs" in given:
        train.pop("steps", None)  # steps would override epochs
    return replace(recipe, train={**train, **given})


def _check_equal(state: TrainingState) -> None:
    """Refuse to train with several processes that were not given the same."""
    settings = settings_of(state.experiment.recipe)
    settings["train"].pop("device", None)
    for place in state.experiment.dataset.location_options:
        settings["data"].pop(place, None)
    distributed.check_equal("the recipe", settings)
    distributed.check_equal("the data", state.stream.facts)


def _check_names(function: str, options: Iterable[str], known: type) -> None:
    for name in options:
        if name not in known.__annotations__:
            raise TypeError(f"{function}() has no argument {name!r}. {nearest(name, known.__annotations__)}")


def _rebuilt(zoo: Zoo, run: RunDirectory, **options: Unpack[ResumeOptions]) -> Experiment:
    """Return the experiment of a run with these changes.

    Raises:
        UsageError: a setting cannot change in a run (its present value is no change), or as ``build``.
    """
    recipe = run.recipe
    adapted = adapt(recipe, **options)
    settings = options.get("settings") or {}
    places = zoo.part("data", recipe.data.name).load().location_options
    check_paths([p for p, value in settings.items() if recipe.with_setting(p, value) != recipe], run.path, places)
    try:
        return build(zoo, adapted)
    except UsageError as error:
        for place in places:
            if f"data.{place} = " in str(error):
                command = f"ganzoo resume {shlex.quote(str(run.path))} --set data.{place}=FOLDER"
                hint = f"If the data were moved, say where they are: {command}"
                raise UsageError(f"{error} {hint}") from error
        raise


def _tell(changes: Iterable[Change]) -> None:
    """Print the changes that matter for the weights, and where the data are."""
    for change in changes:
        if not change["setting"].startswith("train."):
            print(in_words(change), file=sys.stderr, flush=True)


def _finished(directory: RunDirectory, state: TrainingState, zoo: Zoo) -> Run:
    """Return the run that was just trained, without reading it again."""
    restore(state.model)
    if state.ema:
        state.model.load_state_dict(state.ema.tensors, strict=False)
    experiment = state.experiment
    fields = experiment.dataset.fields
    return Run(directory.path, experiment.recipe, state.step, fields, state.model, experiment.device, "last", zoo)
