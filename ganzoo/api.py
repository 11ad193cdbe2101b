"""The Python API: what the command line does, as functions."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.data import Field
from ganzoo.errors import GanzooError, UsageError
from ganzoo.model import Model
from ganzoo.plugins import Zoo, warn
from ganzoo.registry import Recipe
from ganzoo.training import checkpoint, randomness
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.experiment import build, build_model, choose_device
from ganzoo.training.loop import Training
from ganzoo.training.observers import Observers
from ganzoo.training.rehearsal import rehearse
from ganzoo.training.run import RunDirectory

_BATCH = 256  # samples generated at a time


class Run:
    """A trained run, ready to sample from.

    Attributes:
        directory: where it was trained.
        recipe: the resolved recipe.
        step: the step of the checkpoint in use.
        model: the networks, in eval mode; averaged weights where the run kept an average.
    """

    def __init__(self, directory: Path, recipe: Recipe, step: int, model: Model, device: torch.device) -> None:
        self.directory, self.recipe, self.step = directory, recipe, step
        self.model = model.to(device).eval()
        self._device = device

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` samples: float32 (n, *shape) on the host; images are (n, C, H, W) in [-1, 1].

        The noise is drawn on the host, so the same seed means the same noise on every device.
        """
        if n < 1:
            raise UsageError(f"Cannot draw {n} samples; ask for 1 or more.")
        rng = randomness.generator(seed, "samples")
        parts = []
        with torch.no_grad():
            for start in range(0, n, _BATCH):
                latent = self.model.latent(min(_BATCH, n - start), rng)
                parts.append(self.model.generate({k: v.to(self._device) for k, v in latent.items()}).float().cpu())
        return torch.cat(parts)

    def metrics(self) -> list[dict[str, float]]:
        """Return the scalars logged while it trained, a dictionary a tick."""
        return RunDirectory(self.directory).read_metrics()

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, recipe={self.recipe.name!r}, step={self.step})"


def train(
    recipe: str | PathLike[str] | Recipe,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    checkpoint_every: int | None = None,
    data: str | None = None,
    model: str | None = None,
    loss: str | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    zoo: Zoo | None = None,
) -> Run:
    """Train a recipe and return the run.

    Args:
        recipe: a name from the zoo (``"fc-mnist"``), the path of a recipe file, or a recipe.
        epochs, steps, batch_size, seed, device, checkpoint_every: settings of ``train``; None keeps the recipe's.
        data, model, loss: other parts than the recipe's.
        settings: any others by path, such as ``{"model.latent_dim": 64}``.
        out: the run directory; ``runs/NAME/TIME`` if None.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: something is misspelt or does not fit; nothing was written.
        GanzooError: training could not go on; the run directory holds the last whole checkpoint.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    zoo = zoo or Zoo()
    chosen = find_recipe(zoo, recipe)
    for kind, name in (("data", data), ("model", model), ("loss", loss)):
        if name is not None:
            chosen = chosen.with_part(kind, name)
    for path in sorted(settings or {}, key=lambda path: not str(path).endswith(".name")):  # a part before its settings
        chosen = chosen.with_setting(path, (settings or {})[path])
    chosen = _with_length(chosen, epochs, steps)
    given = {"batch_size": batch_size, "seed": seed, "device": device, "checkpoint_every": checkpoint_every}
    chosen = replace(chosen, train={**chosen.train, **{k: v for k, v in given.items() if v is not None}})

    training = Training(build(zoo, chosen))
    rehearse(training)
    with RunDirectory.create(Path(out) if out is not None else None, training.experiment.recipe) as directory:
        training.run(directory, Observers(zoo))
    return _trained(directory, training)


def resume(
    directory: str | PathLike[str],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    device: str | None = None,
    checkpoint_every: int | None = None,
    zoo: Zoo | None = None,
) -> Run:
    """Go on with a run from its newest whole checkpoint, to the bit as if it had never stopped; or from the start,
    if it was stopped before the first.

    Args:
        directory: the run directory.
        epochs, steps: a new, larger goal; None keeps the run's.
        device, checkpoint_every: change these settings from now on.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: this is no run directory, or the goal lies behind.
        GanzooError: another process trains here, no checkpoint is whole, or training could not go on.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    zoo = zoo or Zoo()
    run = RunDirectory.open(Path(directory))
    given = {"device": device, "checkpoint_every": checkpoint_every}
    with run.locked():
        recipe = _with_length(run.recipe, epochs, steps)
        recipe = replace(recipe, train={**recipe.train, **{k: v for k, v in given.items() if v is not None}})
        training = Training(build(zoo, recipe))
        saved = _newest(run)
        if saved:
            training.restore(saved)
        if training.step > training.total_steps:
            raise UsageError(
                f"{run.path} is at step {training.step} already, and the goal is step {training.total_steps}. "
                "Give more --epochs or --steps."
            )
        if training.step < training.total_steps or run.record.get("state") != "finished":
            run.rewind(training.step)
            run.write_recipe(training.experiment.recipe)
            training.run(run, Observers(zoo))
        else:
            warn(f"{run.path} is finished, at step {training.step}. Give more --epochs or --steps to go on.")
    return _trained(run, training)


def load(
    directory: str | PathLike[str], *, step: int | None = None, device: str = "cpu", zoo: Zoo | None = None
) -> Run:
    """Load a run to sample from it.

    Args:
        directory: the run directory.
        step: of which checkpoint; None is the newest whole one.
        device: where the networks go: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: this is no run directory, or it has no such checkpoint.
        GanzooError: no checkpoint is whole.
    """
    run = RunDirectory.open(Path(directory))
    target = choose_device(str(device))
    if step is None:
        saved = _newest(run)
        if saved is None:
            raise GanzooError(f"{run.path} has no checkpoint yet. Train on with 'ganzoo resume {run.path}'.")
    else:
        there = {checkpoint.step_of(path): path for path in checkpoint.saved(run.checkpoints)}
        if step not in there:
            steps = ", ".join(map(str, sorted(there))) or "none"
            raise UsageError(f"{run.path} has no checkpoint of step {step}; it has: {steps}.")
        saved = checkpoint.load(there[step])
    recipe = run.recipe
    try:
        fields = {name: Field.of(plain) for name, plain in saved.rest["fields"].items()}
        model = build_model(zoo or Zoo(), recipe, fields)
        model.load_state_dict({**saved.weights, **saved.average})
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise GanzooError(f"The checkpoint of step {saved.step} does not fit this recipe: {error}.") from error
    return Run(run.path, recipe, saved.step, model, target)


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


def _trained(directory: RunDirectory, training: Training) -> Run:
    """Return what was just trained, without reading it again."""
    model, average = training.model, training.average
    if average:
        model.load_state_dict(average.tensors, strict=False)
    return Run(directory.path, training.experiment.recipe, training.step, model, training.experiment.device)


def _with_length(recipe: Recipe, epochs: int | None, steps: int | None) -> Recipe:
    """Return the recipe with another length; the one of the two that is given replaces both."""
    if epochs is not None and steps is not None:
        raise UsageError("Give epochs or steps, not both.")
    if epochs is None and steps is None:
        return recipe
    rest = {key: value for key, value in recipe.train.items() if key != "steps"}
    return replace(recipe, train={**rest, **({"epochs": epochs} if steps is None else {"steps": steps})})


def _newest(run: RunDirectory) -> Checkpoint | None:
    """Return the newest whole checkpoint, saying which were passed over; None if none was ever saved."""
    paths = list(checkpoint.saved(run.checkpoints))
    saved, complaints = checkpoint.newest_whole(paths)
    if paths and saved is None:
        text = "\n".join(map(str, complaints))
        raise GanzooError(f"No checkpoint of {run.path} is whole:\n{text}\nTrain anew with its recipe.toml.")
    for complaint in complaints:
        warn(f"{complaint} Falling back to the one before.")
    return saved
