"""A trained run: load it from its directory, sample from it, measure it, export it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import export, randomness
from ganzoo.data import Dataset, Field
from ganzoo.errors import GanzooError, UsageError, nearest, warn
from ganzoo.evaluation import draw
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.export import Exported
from ganzoo.model import Model
from ganzoo.recipes import PartChoice, Recipe
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import Checkpoint
from ganzoo.runs.directory import RunDirectory
from ganzoo.runs.records import Record
from ganzoo.runs.recovery import newest_checkpoint
from ganzoo.training.experiment import build_data, build_model, choose_device
from ganzoo.zoo import Zoo


class Run:
    """A trained run, ready to sample from.

    Attributes:
        directory: the run directory.
        recipe: the resolved recipe.
        step: the step of the checkpoint in use.
        fields: those of the dataset it was trained on.
        model: the networks, in eval mode, with averaged weights if the run kept an average.
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

    def sample(self, n: int, seed: int = 0, *, label: int | str | None = None) -> Tensor:
        """Return ``n`` samples: float32 (n, *shape) on the CPU; images are (n, C, H, W) in [-1, 1]. The arguments are
        those of ``draw``."""
        return self.draw(n, seed, label=label)[self.model.target]

    def draw(self, n: int, seed: int = 0, *, label: int | str | None = None) -> dict[str, Tensor]:
        """Return ``n`` samples, under the name of the field that they imitate, and their labels if the model has
        classes.

        Noise is drawn on the CPU, so a seed means the same noise on every device. An image-to-image model gets input
        images from the dataset with its ``eval_options`` applied; the seed picks them.

        Args:
            n: number of samples.
            seed: of the noise.
            label: the class of all samples, by name or number, for a model with labels in its latents; None draws
                classes too.

        Raises:
            UsageError: the model has no labels, or there is no such class.
        """
        if n < 1:
            raise UsageError(f"Cannot draw {n} samples; ask for 1 or more.")
        fixed = {} if label is None else {"label": self._label(label)}
        real = None
        if self.model.condition_fields:
            dataset, _ = self.dataset(for_evaluation=True)
            real = draw.real(dataset, n, seed)
        rng = randomness.generator(seed, "samples")
        with randomness.preserved():  # preparing input images may be random
            randomness.seed_global(randomness.derive(seed, "samples"))
            batches = list(draw.generated(self.model, n, rng, self._device, real=real, fixed=fixed))
        drawn = {self.model.target: torch.cat([sample for sample, _ in batches])}
        if self._has_labels():
            drawn["label"] = torch.cat([others["label"] for _, others in batches])
        return drawn

    def dataset(self, changes: Mapping[str, Any] | None = None, *, for_evaluation: bool) -> tuple[Dataset, PartChoice]:
        """Return the dataset of the run, built anew, with all its options.

        Args:
            changes: options to change.
            for_evaluation: apply the dataset's ``eval_options`` first.

        Raises:
            UsageError, GanzooError: it cannot be built.
        """
        return build_data(self._zoo, self.recipe, changes or {}, for_evaluation=for_evaluation)

    @property
    def dataset_class(self) -> type[Dataset]:
        """The class of its dataset, which draws and encodes samples; ``Dataset`` if its plugin is gone."""
        try:
            found: type[Dataset] = self._zoo.part("data", self.recipe.data.name).load()
        except GanzooError:
            return Dataset
        return found

    def pictures(self, samples: Tensor) -> Tensor | None:
        """Return pictures of samples (n, *shape), float32 (m, C, H, W) in [-1, 1], or None if they cannot be drawn."""
        return self.dataset_class.pictures(samples, self.fields[self.model.target])

    def evaluate(
        self,
        metrics: str | Sequence[str] = (),
        *,
        n: int = 10_000,
        seed: int = 0,
        extractor: str | None = None,
        weights: str | PathLike[str] | None = None,
        sha256: str | None = None,
        settings: Mapping[str, Any] | None = None,
        real: bool = False,
    ) -> list[Record]:
        """Measure samples of the run against real ones, record the numbers in its evaluations.jsonl, and return them.

        Args:
            metrics: names such as ``fd-mnist`` or ``prdc``, one or several; by default the dataset's metrics and
                the model's.
            n: number of samples on either side.
            seed: of the noise and of the choice of real samples. The same seed gives the same numbers.
            extractor: the feature extractor for metrics whose names do not include one.
            weights: a file with the extractor's weights.
            sha256: the SHA-256 of that file, if it is not the published one.
            settings: options of the dataset or of a metric, such as ``{"data.split": "test", "prdc.nearest": 3}``.
            real: compare real samples with other real samples, which shows how good the numbers can get.

        Raises:
            UsageError: a name, a setting or a number of samples that does not fit; nothing was written.
        """
        if n < 1:
            raise UsageError(f"Cannot measure {n} samples; ask for 1 or more.")
        tables = _by_table(settings or {})
        dataset, choice = self.dataset(tables.pop("data", {}), for_evaluation=True)
        if dataset.fields[self.model.target].shape != self.fields[self.model.target].shape:
            raise UsageError(f"With these settings, {choice.name!r} has samples of a different shape from the run's.")
        evaluator = Evaluator(
            self._zoo,
            dataset,
            None if real else self.model,
            metrics=[metrics] if isinstance(metrics, str) else metrics,
            extractor=extractor,
            n=n,
            seed=seed,
            device=self._device,
            options=tables,
            weights=Path(weights) if weights else None,
            sha256=sha256,
        )
        results = evaluator.measure_real() if real else evaluator.measure(self.model)
        which, device = "real" if real else self._checkpoint, str(self._device)
        records = [result.record(choice, checkpoint=which, step=self.step, device=device) for result in results]
        try:
            RunDirectory(self.directory).write_records(records)
        except OSError as error:  # the numbers are worth more than their file
            warn(f"the numbers could not be recorded in {self.directory}: {error.strerror or error}")
        return records

    def export(self, path: str | PathLike[str] | None = None, *, format: str | None = None) -> Exported:  # noqa: A002
        """Export the generator to a file that runs without ganzoo.

        Args:
            path: the file; ``generator.onnx`` or ``generator.pt2`` in the run directory if None.
            format: ``"onnx"`` or ``"torch"``; by the file's name if None.

        Raises:
            UsageError, GanzooError: as ``ganzoo.export.save``.
        """
        chosen, file = export.destination(self.directory, Path(path) if path is not None else None, format)
        return export.save(self.model, self.fields, file, chosen)

    def metrics(self) -> list[dict[str, float]]:
        """Return the scalars that were logged during training, one dictionary per tick."""
        return RunDirectory(self.directory).read_metrics()

    def evaluations(self) -> list[Record]:
        """Return the records of all evaluations so far, oldest first."""
        return RunDirectory(self.directory).read_records()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes 0, 1, ..., if the run has labels with names."""
        return self.fields["label"].class_names if "label" in self.fields else ()

    def _has_labels(self) -> bool:
        return "label" in self.model.sample_latent(1, randomness.generator(0, "label"))

    def _label(self, label: int | str) -> int:
        """Return the number of a class.

        Raises:
            UsageError: the model has no labels, or there is no such class.
        """
        if not self._has_labels():
            raise UsageError(f"The model {self.recipe.model.name!r} has no classes to choose from: it takes no label.")
        if str(label) in self.class_names:
            return self.class_names.index(str(label))
        classes = self.fields["label"].classes if "label" in self.fields else None
        number = int(label) if re.fullmatch("-?[0-9]{1,9}", str(label)) else None
        if number is None and self.class_names:
            raise UsageError(f"There is no class {label!r}. {nearest(str(label), self.class_names)}")
        if number is None or (classes is not None and not 0 <= number < classes):
            raise UsageError(f"There is no label {label}: this run has {classes} classes, 0 to {(classes or 0) - 1}.")
        return number

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, recipe={self.recipe.name!r}, step={self.step})"


def load(
    directory: str | PathLike[str], *, checkpoint: str | int = "last", device: str = "cpu", zoo: Zoo | None = None
) -> Run:
    """Load a run to sample from it or measure it.

    Args:
        directory: the run directory.
        checkpoint: ``"last"`` (the newest valid one), ``"best"`` (according to evaluations during training), or a step.
        device: where the networks go: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        zoo: the plugins; looked up if None.

    Raises:
        UsageError: this is not a run directory, or the checkpoint does not exist or belongs to another recipe.
        GanzooError: no checkpoint is valid.
    """
    zoo = zoo or Zoo()
    run = RunDirectory.open(Path(directory))
    target = choose_device(str(device))
    recipe = run.recipe
    saved = _chosen(run, str(checkpoint))
    trained = saved.rest.get("settings", {})
    for kind in ("data", "model"):
        part: PartChoice = getattr(recipe, kind)
        if trained.get(kind, {}).get("name", part.name) != part.name:
            raise UsageError(
                f"The checkpoint of step {saved.step} in {run.path} belongs to another recipe: its {kind} is "
                f"{trained[kind]['name']!r}, and recipe.toml says {part.name!r}."
            )
    try:
        fields = {name: Field.of(plain) for name, plain in saved.rest["fields"].items()}
        model = build_model(zoo, recipe, fields)
        model.at(saved.step)
        model.load_state_dict({**saved.weights, **saved.ema})
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"The checkpoint of step {saved.step} in {run.path} does not fit its recipe.toml. Do they belong to "
            f"different runs? {error}"
        ) from error
    return Run(run.path, recipe, saved.step, fields, model, target, str(checkpoint), zoo)


def _chosen(run: RunDirectory, which: str) -> Checkpoint:
    """Return the requested checkpoint: last, best, or a step."""
    if not re.fullmatch("last|best|[0-9]{1,19}", which):
        raise UsageError(f"checkpoint must be last, best or a step, not {which[:80]!r}.")
    if which in ("last", "best"):
        last = newest_checkpoint(run)
        if last is None:
            command = f"ganzoo resume {shlex.quote(str(run.path))}"
            raise UsageError(f"{run.path} has no checkpoint yet. Continue training: {command}")
        if which == "last":
            return last
        if not last.rest.get("best"):
            raise UsageError(
                f"{run.path} has no best checkpoint: it was not evaluated during training (--evaluate-every N). "
                "Use last."
            )
        which = last.rest["best"]["step"]
    step = int(which)
    available = {checkpoint.step_of(path): path for path in checkpoint.saved(run.checkpoints)}
    if step not in available:
        steps = ", ".join(map(str, sorted(available))) or "none"
        raise UsageError(f"{run.path} has no checkpoint of step {step}; available: {steps}.")
    return checkpoint.load(available[step])


def _by_table(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{"prdc.nearest": 3}`` as ``{"prdc": {"nearest": 3}}``."""
    tables: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        table, dot, name = path.partition(".")
        if not (table and dot and name):
            raise UsageError(f"The setting {path!r} must be data.OPTION or METRIC.OPTION, such as prdc.nearest.")
        tables.setdefault(table, {})[name] = value
    return tables
