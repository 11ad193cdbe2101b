"""The Python API: what the command line does, as functions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from ganzoo import registry
from ganzoo.errors import UsageError
from ganzoo.plugins import Zoo, warn
from ganzoo.registry import Recipe
from ganzoo.trained import Run, newest
from ganzoo.training import snapshot
from ganzoo.training.experiment import build
from ganzoo.training.loop import Training
from ganzoo.training.observers import Observers
from ganzoo.training.rehearsal import rehearse
from ganzoo.training.run import RunDirectory


def train(
    recipe: str | PathLike[str] | Recipe,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    checkpoint_every: int | None = None,
    evaluate_every: int | None = None,
    on_collapse: str | None = None,
    data: str | None = None,
    model: str | None = None,
    loss: str | None = None,
    penalties: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    zoo: Zoo | None = None,
) -> Run:
    """Train a recipe and return the run.

    Args:
        recipe: a name from the zoo (``"fc-mnist"``), the path of a recipe file, or a recipe.
        epochs, steps, batch_size, seed, device, checkpoint_every, evaluate_every, on_collapse: settings of ``train``;
            None keeps the recipe's.
        data, model, loss: other parts than the recipe's.
        penalties: those that join the loss, instead of the recipe's.
        settings: any others by path, such as ``{"model.latent_dim": 64}``.
        out: the run directory; ``runs/NAME/TIME`` if None.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: something is misspelt or does not fit; nothing was written.
        GanzooError: training could not go on; the run directory holds the last whole checkpoint.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    zoo = zoo or Zoo()
    chosen = adapt(
        find_recipe(zoo, recipe),
        epochs=epochs,
        steps=steps,
        data=data,
        model=model,
        loss=loss,
        penalties=penalties,
        settings=settings,
        batch_size=batch_size,
        seed=seed,
        device=device,
        checkpoint_every=checkpoint_every,
        evaluate_every=evaluate_every,
        on_collapse=on_collapse,
    )
    training = Training(build(zoo, chosen))
    rehearse(training)
    with RunDirectory.create(Path(out) if out is not None else None, training.experiment.recipe) as directory:
        training.run(directory, Observers(zoo))
    return _trained(directory, training, zoo)


def resume(
    directory: str | PathLike[str],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    device: str | None = None,
    checkpoint_every: int | None = None,
    evaluate_every: int | None = None,
    on_collapse: str | None = None,
    zoo: Zoo | None = None,
) -> Run:
    """Go on with a run from its newest whole checkpoint, to the bit as if it had never stopped; or from the start,
    if it was stopped before the first.

    Args:
        directory: the run directory.
        epochs, steps: a new, larger goal; None keeps the run's.
        device, checkpoint_every, evaluate_every, on_collapse: change these settings from now on.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: this is no run directory, or the goal lies behind.
        GanzooError: another process trains here, no checkpoint is whole, or training could not go on.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    zoo = zoo or Zoo()
    run = RunDirectory.open(Path(directory))
    with run.locked():
        recipe = _with_length(run.recipe, epochs, steps)
        recipe = _with_train(
            recipe,
            device=device,
            checkpoint_every=checkpoint_every,
            evaluate_every=evaluate_every,
            on_collapse=on_collapse,
        )
        training = Training(build(zoo, recipe))
        saved = newest(run)
        if saved:
            snapshot.put_back(training, saved)
        if training.step > training.total_steps:
            raise UsageError(
                f"{run.path} is at step {training.step} already, and the goal is step {training.total_steps}. "
                "Give more --epochs or --steps."
            )
        if training.step < training.total_steps or run.record.get("state") != "finished":
            run.rewind(training.step, training.rollbacks)
            run.write_recipe(training.experiment.recipe)
            training.run(run, Observers(zoo))
        else:
            warn(f"{run.path} is finished, at step {training.step}. Give more --epochs or --steps to go on.")
    return _trained(run, training, zoo)


def adapt(
    recipe: Recipe,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    data: str | None = None,
    model: str | None = None,
    loss: str | None = None,
    penalties: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    **train: Any,
) -> Recipe:
    """Return a recipe with whatever of ``ganzoo.train``'s arguments is not None; ``train`` are settings of that table.

    Raises:
        UsageError: a path that leads nowhere, or epochs and steps both.
    """
    for kind, name in (("data", data), ("model", model), ("loss", loss)):
        if name is not None:
            recipe = recipe.with_part(kind, name)
    if penalties is not None:
        recipe = recipe.with_penalties(penalties)
    for path in sorted(settings or {}, key=lambda path: not str(path).endswith(".name")):  # a part before its settings
        recipe = recipe.with_setting(path, (settings or {})[path])
    return _with_train(_with_length(recipe, epochs, steps), **train)


def find_recipe(zoo: Zoo, recipe: str | PathLike[str] | Recipe) -> Recipe:
    """Return a recipe by name (or ``plugin/name``), or from a file: whatever ends in .toml or is there is a path.

    Raises:
        UsageError: there is no such recipe or file, or it is written wrongly.
    """
    if isinstance(recipe, Recipe):
        return recipe
    text = str(recipe)
    if isinstance(recipe, PathLike) or text.endswith(".toml") or Path(text).is_file():
        return registry.read_one(Path(recipe))
    return zoo.recipe(text)


def _trained(directory: RunDirectory, training: Training, zoo: Zoo) -> Run:
    """Return what was just trained, without reading it again."""
    model, average = training.model, training.average
    if average:
        model.load_state_dict(average.tensors, strict=False)
    experiment = training.experiment
    fields = experiment.data.fields
    return Run(directory.path, experiment.recipe, training.step, fields, model, experiment.device, "last", zoo)


def _with_length(recipe: Recipe, epochs: int | None, steps: int | None) -> Recipe:
    """Return the recipe with another length; the one of the two that is given replaces both."""
    if epochs is not None and steps is not None:
        raise UsageError("Give epochs or steps, not both.")
    if epochs is None and steps is None:
        return recipe
    rest = {key: value for key, value in recipe.train.items() if key != "steps"}
    return replace(recipe, train={**rest, **({"epochs": epochs} if steps is None else {"steps": steps})})


def _with_train(recipe: Recipe, **settings: Any) -> Recipe:
    """Return the recipe with those settings of ``train`` that are not None."""
    given = {name: value for name, value in settings.items() if value is not None}
    return replace(recipe, train={**recipe.train, **given})
