"""A trained run: loaded from its directory, sampled from, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from ganzoo.training.experiment import build_data, build_model, choose_device
from ganzoo.training.run import RunDirectory

if TYPE_CHECKING:
    from ganzoo.export import Exported


class Run:
    """A trained run, ready to sample from.

    Attributes:
        directory: where it was trained.
        recipe: the resolved recipe.
        step: the step of the checkpoint in use.
        fields: those of the data it was trained on.
        model: the networks, in eval mode; averaged weights where the run kept an average.
    """

    def __init__(
        self,
        directory: Path,
        recipe: Recipe,
        step: int,
        fields: Mapping[str, Field],
        model: Model,
        device: torch.device,
        checkpoint: str,
        zoo: Zoo,
    ) -> None:
        self.directory, self.recipe, self.step, self.fields = directory, recipe, step, fields
        self.model = model.to(device).eval()
        self._device, self._checkpoint, self._zoo = device, checkpoint, zoo

    def sample(self, n: int, seed: int = 0, *, label: int | None = None) -> Tensor:
        """Return ``n`` samples: float32 (n, *shape) on the host; images are (n, C, H, W) in [-1, 1].

        The noise is drawn on the host, so the same seed means the same noise on every device. A model that makes images
        from others is given those of the data's held-out part, chosen by the seed.

        Args:
            label: the class of all of them, for a model that can be asked for one; None draws classes too.

        Raises:
            UsageError: the model cannot be asked for a class, or there is no such class.
        """
        if n < 1:
            raise UsageError(f"Cannot draw {n} samples; ask for 1 or more.")
        self._check_label(label)
        real = None
        if self.model.given:
            data, _ = build_data(self._zoo, self.recipe, {}, held_out=True)
            real = draw.real(data, self.model.target, n, seed)
        fixed = {} if label is None else {"label": label}
        rng = randomness.generator(seed, "samples")
        batches = draw.generated(self.model, n, rng, self._device, real=real, fixed=fixed)
        return torch.cat([sample for sample, _ in batches])

    def evaluate(
        self,
        metrics: str | Sequence[str] = (),
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
            metrics: names such as ``fd-mnist`` or ``prdc``, one or several; those of the data set if none are given.
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
        data, choice = build_data(self._zoo, self.recipe, tables.pop("data", {}), held_out=True)
        if data.fields[self.model.target].shape != self.fields[self.model.target].shape:
            raise UsageError(f"The data {choice.name!r} with these settings have another shape than the samples.")
        evaluator = Evaluator(
            self._zoo,
            data,
            None if real else self.model,
            metrics=[metrics] if isinstance(metrics, str) else metrics,
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
            device=str(self._device),
        )
        try:
            RunDirectory(self.directory).write_cards(made)
        except OSError as error:  # the numbers are worth more than their file
            warn(f"the cards could not be kept in {self.directory}: {error.strerror or error}")
        return made

    def export(self, path: str | PathLike[str] | None = None, *, format: str | None = None) -> Exported:  # noqa: A002
        """Write what generates these samples to a file that runs without ganzoo: see ``ganzoo.export.save``."""
        from ganzoo import export  # it needs this module

        return export.save(self, path, format=format)

    def metrics(self) -> list[dict[str, float]]:
        """Return the scalars logged while it trained, a dictionary a tick."""
        return RunDirectory(self.directory).read_metrics()

    def evaluations(self) -> list[Card]:
        """Return the cards of all evaluations so far, the oldest first."""
        return RunDirectory(self.directory).read_cards()

    def _check_label(self, label: int | None) -> None:
        if label is None:
            return
        if "label" not in self.model.latent(1, randomness.generator(0, "label")):
            raise UsageError(
                f"The model {self.recipe.model.name!r} cannot be asked for a class: there is no label in its latents."
            )
        classes = self.fields["label"].classes if "label" in self.fields else None
        if classes is not None and not 0 <= label < classes:
            raise UsageError(f"There is no label {label}: this run's data have {classes} classes, 0 to {classes - 1}.")

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, recipe={self.recipe.name!r}, step={self.step})"


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
    return Run(run.path, recipe, saved.step, fields, model, target, str(checkpoint), zoo)


def newest(run: RunDirectory) -> Checkpoint | None:
    """Return the newest whole checkpoint, saying which were passed over; None if none was ever saved."""
    paths = list(checkpoint.saved(run.checkpoints))
    saved, complaints = checkpoint.newest_whole(paths)
    if paths and saved is None:
        text = "\n".join(map(str, complaints))
        raise GanzooError(f"No checkpoint of {run.path} is whole:\n{text}\nTrain anew with its recipe.toml.")
    for complaint in complaints:
        warn(f"{complaint} Falling back to the one before.")
    return saved


def _chosen(run: RunDirectory, which: str) -> Checkpoint:
    """Return the checkpoint that was asked for: last, best, or a step."""
    if which not in ("last", "best") and not which.isdecimal():
        raise UsageError(f"--checkpoint is last, best or a step, not {which!r}.")
    last = newest(run) if which in ("last", "best") else None
    if last is None and which in ("last", "best"):
        raise UsageError(f"{run.path} has no checkpoint yet. Train on with 'ganzoo resume {run.path}'.")
    if last and which == "last":
        return last
    if last and not last.rest.get("best"):
        raise UsageError(
            f"{run.path} has no best checkpoint: nothing was measured while it trained (--evaluate-every N). Use last."
        )
    step = last.rest["best"]["step"] if last else int(which)
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
