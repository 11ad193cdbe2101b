"""The Python API: what the command line does, as functions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.data import Field
from ganzoo.errors import GanzooError, UsageError
from ganzoo.evaluation import cards, draw
from ganzoo.evaluation.cards import Card
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.model import Model
from ganzoo.plugins import Zoo, warn
from ganzoo.registry import Recipe
from ganzoo.training import checkpoint, randomness
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.experiment import build, build_data, build_model, choose_device
from ganzoo.training.loop import Training
from ganzoo.training.observers import Observers
from ganzoo.training.rehearsal import rehearse
from ganzoo.training.run import RunDirectory


class Run:
    """A trained run, ready to sample from.

    Attributes:
        directory: where it was trained.
        recipe: the resolved recipe.
        step: the step of the checkpoint in use.
        model: the networks, in eval mode; averaged weights where the run kept an average.
    """

    def __init__(
        self, directory: Path, recipe: Recipe, step: int, model: Model, device: torch.device, checkpoint: str, zoo: Zoo
    ) -> None:
        self.directory, self.recipe, self.step = directory, recipe, step
        self.model = model.to(device).eval()
        self._device, self._checkpoint, self._zoo = device, checkpoint, zoo

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` samples: float32 (n, *shape) on the host; images are (n, C, H, W) in [-1, 1].

        The noise is drawn on the host, so the same seed means the same noise on every device.
        """
        if n < 1:
            raise UsageError(f"Cannot draw {n} samples; ask for 1 or more.")
        rng = randomness.generator(seed, "samples")
        return torch.cat([sample for sample, _ in draw.generated(self.model, n, rng, self._device)])

    def evaluate(
        self,
        metrics: Sequence[str] = (),
        *,
        n: int = 10_000,
        seed: int = 0,
        extractor: str | None = None,
        weights: str | PathLike[str] | None = None,
        sha256: str | None = None,
        real: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Card]:
        """Measure ``n`` samples against as many real ones, and return a card for each number: a dictionary with
        ``metric``, ``value`` and all it takes to get the same again. They are added to the run's evaluations.jsonl.

        Args:
            metrics: names such as ``fd-mnist`` or ``prdc``; those of the data set if none are given.
            n, seed: how many samples; of which noise, and of which real ones.
            extractor: whose features, where a metric's name does not say; the data set's own if None.
            weights, sha256: a file of weights for the extractor; its SHA-256, if it is not the published one.
            real: measure other real samples in place of generated ones, to see how good the numbers can get.
            settings: options of the real data and of metrics by path: ``{"data.split": "test", "prdc.nearest": 3}``.

        Raises:
            UsageError: a name, an option or a file that does not fit, or too few samples; nothing was written.
        """
        if n < 1:
            raise UsageError(f"Cannot measure {n} samples; ask for more.")
        tables = _by_table(settings or {})
        data, choice = build_data(self._zoo, self.recipe, tables.pop("data", {}))
        if data.fields[self.model.target].shape != self._shape():
            raise UsageError(f"The data {choice.name!r} with these settings have another shape than the samples.")
        evaluator = Evaluator(
            self._zoo,
            data,
            None if real else self.model,
            metrics=metrics,
            extractor=extractor,
            n=n,
            seed=seed,
            device=self._device,
            settings=tables,
            weights=Path(weights) if weights else None,
            sha256=sha256,
        )
        made = cards.make(
            evaluator.measure_real() if real else evaluator.measure(self.model),
            evaluator,
            choice,
            checkpoint="real" if real else self._checkpoint,
            step=self.step,
            n=n,
            seed=seed,
            device=str(self._device),
        )
        RunDirectory(self.directory).write_cards(made)
        return made

    def metrics(self) -> list[dict[str, float]]:
        """Return the scalars logged while it trained, a dictionary a tick."""
        return RunDirectory(self.directory).read_metrics()

    def evaluations(self) -> list[Card]:
        """Return the cards of all evaluations so far, the oldest first."""
        return RunDirectory(self.directory).read_cards()

    def _shape(self) -> tuple[int, ...]:
        with torch.no_grad():
            latent = self.model.latent(1, randomness.generator(0, "shape"))
            return tuple(self.model.generate({k: v.to(self._device) for k, v in latent.items()}).shape[1:])

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
    evaluate_every: int | None = None,
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
        epochs, steps, batch_size, seed, device, checkpoint_every, evaluate_every: settings of ``train``; None keeps the
            recipe's.
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
    given["evaluate_every"] = evaluate_every
    chosen = replace(chosen, train={**chosen.train, **{k: v for k, v in given.items() if v is not None}})

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
    zoo: Zoo | None = None,
) -> Run:
    """Go on with a run from its newest whole checkpoint, to the bit as if it had never stopped; or from the start,
    if it was stopped before the first.

    Args:
        directory: the run directory.
        epochs, steps: a new, larger goal; None keeps the run's.
        device, checkpoint_every, evaluate_every: change these settings from now on.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: this is no run directory, or the goal lies behind.
        GanzooError: another process trains here, no checkpoint is whole, or training could not go on.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    zoo = zoo or Zoo()
    run = RunDirectory.open(Path(directory))
    given = {"device": device, "checkpoint_every": checkpoint_every, "evaluate_every": evaluate_every}
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
    return _trained(run, training, zoo)


def load(
    directory: str | PathLike[str], *, checkpoint: str | int = "last", device: str = "cpu", zoo: Zoo | None = None
) -> Run:
    """Load a run to sample from it, or to measure it.

    Args:
        directory: the run directory.
        checkpoint: ``"last"`` (the newest whole one), ``"best"`` (by what was measured while it trained), or a step.
        device: where the networks go: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        zoo: the plugins; found anew if None.

    Raises:
        UsageError: this is no run directory, it has no such checkpoint, or one of another recipe.
        GanzooError: no checkpoint is whole.
    """
    zoo = zoo or Zoo()
    run = RunDirectory.open(Path(directory))
    target = choose_device(str(device))
    recipe = run.recipe
    saved = _chosen(run, str(checkpoint))
    trained = saved.rest.get("settings", {})
    for kind in ("data", "model"):
        part: registry.PartChoice = getattr(recipe, kind)
        if trained.get(kind, {}).get("name", part.name) != part.name:
            raise UsageError(
                f"The checkpoint of step {saved.step} in {run.path} is of another recipe: its {kind} is "
                f"{trained[kind]['name']!r}, and recipe.toml says {part.name!r}."
            )
    try:
        fields = {name: Field.of(plain) for name, plain in saved.rest["fields"].items()}
        model = build_model(zoo, recipe, fields)
        model.load_state_dict({**saved.weights, **saved.average})
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"The checkpoint of step {saved.step} in {run.path} does not fit its recipe.toml; are they of "
            f"different runs? {error}"
        ) from error
    return Run(run.path, recipe, saved.step, model, target, str(checkpoint), zoo)


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
    return Run(directory.path, experiment.recipe, training.step, model, experiment.device, "last", zoo)


def _chosen(run: RunDirectory, which: str) -> Checkpoint:
    """Return the checkpoint that was asked for: last, best, or a step."""
    if which not in ("last", "best") and not which.isdecimal():
        raise UsageError(f"--checkpoint is last, best or a step, not {which!r}.")
    newest = _newest(run) if which in ("last", "best") else None
    if newest is None and which in ("last", "best"):
        raise UsageError(f"{run.path} has no checkpoint yet. Train on with 'ganzoo resume {run.path}'.")
    if newest and which == "last":
        return newest
    if newest and not newest.rest.get("best"):
        raise UsageError(
            f"{run.path} has no best checkpoint: nothing was measured while it trained (--evaluate-every N). Use last."
        )
    step = newest.rest["best"]["step"] if newest else int(which)
    there = {checkpoint.step_of(path): path for path in checkpoint.saved(run.checkpoints)}
    if step not in there:
        steps = ", ".join(map(str, sorted(there))) or "none"
        raise UsageError(f"{run.path} has no checkpoint of step {step}; it has: {steps}.")
    return checkpoint.load(there[step])


def _by_table(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{"prdc.nearest": 3}`` as ``{"prdc": {"nearest": 3}}``."""
    tables: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        table, dot, name = path.partition(".")
        if not (table and dot and name):
            raise UsageError(f"The setting {path!r} must be data.OPTION or METRIC.OPTION, such as prdc.nearest.")
        tables.setdefault(table, {})[name] = value
    return tables


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
