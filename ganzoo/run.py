"""A trained run: load it from its directory, sample from it, measure it, export it."""

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import export, randomness
from ganzoo.data import Dataset, Field
from ganzoo.errors import GanzooError, UsageError, nearest, warn
from ganzoo.evaluation import draw, inputs as from_inputs
from ganzoo.evaluation.evaluator import MOST, Evaluator, by_table
from ganzoo.evaluation.inputs import Given, Inputs
from ganzoo.export import Exported
from ganzoo.model import Model
from ganzoo.recipes import PartChoice, Recipe
from ganzoo.runs.directory import RunDirectory
from ganzoo.runs.records import Record
from ganzoo.runs.recovery import chosen_checkpoint
from ganzoo.training.experiment import build_data, build_model, choose_device
from ganzoo.zoo import Zoo

SAMPLES = 64
"""Number of samples if none is given."""


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

    def sample(
        self,
        n: int | None = None,
        seed: int = 0,
        *,
        label: int | str | None = None,
        inputs: Mapping[str, Given] | Inputs | None = None,
    ) -> Tensor:
        """Return samples: float32 (n, *shape) on the CPU; images are (n, C, H, W) in [-1, 1]. The arguments are those
        of ``draw``."""
        return self.draw(n, seed, label=label, inputs=inputs)[self.model.target]

    def draw(
        self,
        n: int | None = None,
        seed: int = 0,
        *,
        label: int | str | None = None,
        inputs: Mapping[str, Given] | Inputs | None = None,
    ) -> dict[str, Tensor]:
        """Return samples, under the name of the field that they imitate, and their labels if the model has classes.

        Noise is drawn on the CPU, so a seed means the same noise on every device. Without ``inputs``, an image-to-image
        model gets input images from the dataset with its ``eval_options`` applied; the seed picks them.

        Args:
            n: number of samples. By default, as many as inputs, or 64, or fewer if the dataset has fewer input images.
                A single input is used for all samples.
            seed: of the noise.
            label: the class of all samples, by name or number, for a model with labels in its latents; None draws
                classes too.
            inputs: condition field -> input images, or what ``read_inputs`` returned.

        Raises:
            UsageError: the model has no labels, there is no such class, or the inputs do not fit.
        """
        if n is not None and n < 1:
            raise UsageError(f"Cannot draw {n} samples; ask for 1 or more.")
        fixed = {} if label is None else {"label": self._label(label)}
        rng, target = randomness.generator(seed, "samples"), self.fields[self.model.target]
        real = None
        if inputs is not None:
            inputs = inputs if isinstance(inputs, Inputs) else self.read_inputs(inputs)
            n = inputs.count(n)
            made = from_inputs.generated(self.model, inputs, n, rng, self._device, target, fixed)
        else:
            if self.model.condition_fields:
                dataset, _ = self.dataset(for_evaluation=True)
                n = n or min(SAMPLES, len(dataset))
                real = draw.real(dataset, n, seed)
            made = draw.generated(self.model, n or SAMPLES, rng, self._device, real=real, fixed=fixed)
        with randomness.preserved():  # preparing input images may be random
            randomness.seed_global(randomness.derive(seed, "samples"))
            batches = list(made)
        drawn = {self.model.target: torch.cat([sample for sample, _ in batches])}
        if self._has_labels():
            drawn["label"] = torch.cat([others["label"] for _, others in batches])
        return drawn

    def read_inputs(self, given: Mapping[str, Given], size: int | None = None) -> Inputs:
        """Return inputs of the model, to draw samples from. The training data need not be there.

        Args:
            given: condition field -> a tensor (n, *shape) with images in [-1, 1] or in bytes; a file; or files and
                folders of files.
            size: pixels per side of pictures in files, -1 for their own sides. By default, they are treated as the
                run's own data were.

        Raises:
            UsageError: the model takes no inputs or others, or one cannot be read or does not fit.
        """
        return from_inputs.read(given, self.model, self.fields, self.dataset_class, self.recipe.data.options, size)

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
        n: int | None = None,
        seed: int = 0,
        extractor: str | None = None,
        weights: str | PathLike[str] | None = None,
        sha256: str | None = None,
        settings: Mapping[str, Any] | None = None,
        real: bool = False,
    ) -> list[Record]:
        """Measure samples of the run against real ones, record the numbers in its evaluations.jsonl, and return them.

        Args:
            metrics: names such as ``fd-mnist`` or ``prdc``; by default the dataset's metrics and the model's.
            n: number of samples on either side; by default 10,000, or what the dataset has.
            seed: of the noise and of the choice of real samples. The same seed gives the same numbers.
            extractor: the feature extractor for metrics whose names do not include one.
            weights, sha256: a file with the extractor's weights, and its SHA-256 if it is not the published one.
            settings: options of the dataset or of a metric, such as ``{"data.split": "test", "prdc.nearest": 3}``.
            real: compare real samples with other real samples, which shows how good the numbers can get.

        Raises:
            UsageError: a name, a setting or a number of samples that does not fit; nothing was written.
        """
        if n is not None and n < 1:
            raise UsageError(f"Cannot measure {n} samples; ask for 1 or more.")
        tables = by_table(settings or {})
        dataset, choice = self.dataset(tables.pop("data", {}), for_evaluation=True)
        if dataset.fields[self.model.target] != self.fields[self.model.target]:
            raise UsageError(f"{choice.name!r} has samples of a different shape, or with other scales, than the run's.")
        n = n or min(MOST, len(dataset) // (2 if real else 1))
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
            training=None if choice == self.recipe.data else lambda: self.dataset(for_evaluation=False)[0],
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
    saved = chosen_checkpoint(run, str(checkpoint))
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
