"""The evaluator: choose and check everything once, then measure any number of models.

Called by ``Run.evaluate`` with a trained model, and by the trainer at regular steps. It draws real samples once, draws
generated samples from the same noise for each model, and extracts features once per extractor.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import randomness
from ganzoo.data import Batch, Dataset
from ganzoo.errors import GanzooError, UsageError, format_error, nearest, shortage, unknown, warn
from ganzoo.evaluation import draw
from ganzoo.evaluation.extractors import Extractor
from ganzoo.evaluation.results import Result, check_scores
from ganzoo.guard import Guarded
from ganzoo.metric import Metric, Samples
from ganzoo.model import Model
from ganzoo.parts import resolve
from ganzoo.recipes import PartChoice
from ganzoo.zoo import Zoo


class TooFewSamples(UsageError):
    """There are too few samples for a metric to mean anything."""


@dataclass(frozen=True)
class _Choice:
    name: str
    metric: Metric
    options: Mapping[str, Any]
    extractor: str | None
    suffix: str


_Side = Callable[[_Choice], Samples]
MOST = 10_000
"""Samples that are drawn by default, on either side."""


class Evaluator:
    """Measures models against one set of real samples.

    Attributes:
        n: number of samples on either side.
        seed: of the noise, and of the choice of real samples.
        real_sha256: SHA-256 of the real samples that were drawn.
        left_out: why metrics that are measured by default are not measured here: metric -> reason.
    """

    def __init__(
        self,
        zoo: Zoo,
        dataset: Dataset,
        model: Model | None,
        *,
        n: int,
        seed: int,
        device: torch.device,
        metrics: Sequence[str] = (),
        extractor: str | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        weights: Path | None = None,
        sha256: str | None = None,
        training: Callable[[], Dataset] | None = None,
        first_only: bool = False,
    ) -> None:
        """Choose, load and check everything.

        Args:
            zoo: the plugins.
            dataset: what is imitated; its ``metrics`` (with the model's) and ``extractor`` are the defaults.
            model: an example of the models to measure: it shows what comes with its samples. None for real samples.
            n: number of samples on either side.
            seed: of the noise, and of the choice of real samples.
            device: of the models and the extractors.
            metrics: names, such as ``fd`` (with the features of ``extractor``), ``fd-mnist`` or ``fid``.
            extractor: the feature extractor for metrics whose names do not include one.
            options: metric -> its options.
            weights, sha256: see ``Extractor``.
            training: returns what the models were trained on; None if that is ``dataset``.
            first_only: without ``metrics``, measure only the first default that fits.

        Raises:
            UsageError: a name, an option or weights that do not fit.
            TooFewSamples: a metric needs more samples; or all of the defaults do.
        """
        self._dataset, self._device = dataset, device
        self.n, self.seed = n, seed
        self.left_out: dict[str, str] = {}
        defaults = (*dataset.metrics, *(model.metrics if model else ()))
        options = options or {}
        chosen = [_choose(zoo, name, extractor or dataset.extractor, options) for name in metrics or defaults]
        self._choices = list({(choice.name, choice.extractor): choice for choice in chosen}.values())
        measured = {choice.name for choice in self._choices}
        for name in options.keys() - measured:
            raise unknown("metric", name, measured, "the settings (--set METRIC.OPTION)")
        self._drop_unfit(model, requested=bool(metrics))
        self._choices = self._choices[:1] if first_only and not metrics else self._choices
        if sha256 and not weights:
            raise UsageError("--sha256 is the expected hash of the file in --weights: give both.")
        with self._seeded():
            values, extras = draw.gather(draw.real(dataset, n, seed), dataset)
            self.real_sha256 = hashlib.sha256(values.numpy().tobytes()).hexdigest()
            self._extractors = self._load(zoo, values, weights, sha256, requested=bool(metrics))
        self._real = self._side(values, extras, None)
        self._separate = training is not None
        self._training = self._trained_on(training or (lambda: dataset))

    def _trained_on(self, training: Callable[[], Dataset]) -> _Side:
        """Return the side of the training data, if a metric needs it."""
        if all(choice.metric.reference == "evaluation" for choice in self._choices):
            return self._real
        dataset = training()
        with self._seeded():
            drawn = draw.real(dataset, min(MOST, len(dataset)), self.seed)
            return self._side(*draw.gather(drawn, self._dataset), None)

    def measure(self, model: Model) -> list[Result]:
        """Return the numbers of a model in eval mode, on the evaluator's device; always from the same noise.

        Raises:
            UsageError: a metric cannot be computed for it.
        """
        with self._seeded():
            rng = randomness.generator(self.seed, "evaluation")
            # A model with condition fields gets those of the very samples it is compared with.
            real = draw.real(self._dataset, self.n, self.seed) if model.condition_fields else None
            batches = draw.generated(model, self.n, rng, self._device, real=real)
            needed = {name for choice in self._choices for name in choice.metric.required_fields}
            keep = needed.union(model.condition_fields)  # keeping all latents would take much memory
            values, extras = draw.gather(batches, self._dataset, keep)
            return self._measure(self._side(values, extras, model), self._training)

    def measure_real(self) -> list[Result]:
        """Return the numbers of other real samples, which show how good the numbers can get."""
        with self._seeded():
            others = draw.real(self._dataset, self.n, self.seed, skip=self.n)
            values, extras = draw.gather(others, self._dataset)
            # Without a split, the others were trained on too: what is left to compare them with is the first half.
            return self._measure(self._side(values, extras, None), self._training if self._separate else self._real)

    def _side(self, values: Tensor, extras: Batch, model: Model | None) -> _Side:
        """Return a function that returns one side of the comparison as a metric sees it. Features are extracted when a
        metric first asks for them, and kept."""
        extract = cache(lambda name: self._extractors[name](values))

        def features(choice: _Choice, kind: str) -> Tensor:
            if kind not in choice.metric.feature_kinds:
                raise GanzooError(
                    f"The metric {choice.name!r} asks for features {kind!r}, which its feature_kinds do not name."
                )
            return extract(choice.extractor)[kind]

        return lambda choice: Samples(values, extras, self._dataset, self.seed, model, partial(features, choice))

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Seed the global generators within the block, because parts may draw from them; then restore them."""
        with randomness.preserved():
            randomness.seed_global(randomness.derive(self.seed, "evaluation", "global"))
            yield

    def _measure(self, fake: _Side, training: _Side) -> list[Result]:
        results = []
        for choice in self._choices:
            began = time.perf_counter()
            real = training if choice.metric.reference == "training" else self._real
            try:
                with Guarded():
                    scores = check_scores(choice.metric.measure(fake(choice), real(choice)))
            except GanzooError:
                raise
            except Exception as error:
                if lacking := shortage(error):
                    raise GanzooError(f"{lacking[0]}, in the metric {choice.name!r}. {lacking[1]}.") from error
                raise UsageError(
                    f"The metric {choice.name!r} cannot be computed here: {format_error(error)}."
                ) from error
            seconds = time.perf_counter() - began
            extractor = self._extractors.get(choice.extractor or "")
            how = {
                "n": self.n,
                "seed": self.seed,
                "options": dict(choice.options),
                "extractor": extractor.name if extractor else "",
                "extractor_sha256": extractor.sha256 if extractor else "",
                "data_sha256": self.real_sha256,
                "seconds": round(seconds, 3),
            }
            results += [Result(name + choice.suffix, score, how) for name, score in scores.items()]
        return results

    def _drop_unfit(self, model: Model | None, requested: bool) -> None:
        """Drop metrics that do not fit the dataset or the model, or need what does not come with the samples. If they
        were requested by name, raise an error instead."""
        available = set(self._dataset.fields) if model is None or model.condition_fields else set()
        if model:
            available.update(model.sample_latent(1, torch.Generator()))
        for choice in list(self._choices):
            problem = ""
            if missing := [name for name in choice.metric.required_fields if name not in available]:
                present = ", ".join(sorted(available)) or "nothing"
                problem = f"needs samples that come with {missing[0]!r}; these come with: {present}."
            if lacking := [name for name in choice.metric.required_methods if not getattr(model, name, None)]:
                problem = f"needs samples of a model with {lacking[0]!r}, which {_words(model)} does not have."
            try:
                choice.metric.check(self._dataset)
            except ValueError as error:
                problem = f"does not fit this dataset: {error}."
            if problem and requested:
                raise UsageError(f"The metric {choice.name!r} {problem}")
            if problem:
                self._choices.remove(choice)
        if not self._choices:
            raise UsageError("Nothing can be measured: none of the dataset's metrics fits. Give --metrics.")

    def _load(
        self, zoo: Zoo, values: Tensor, weights: Path | None, sha256: str | None, *, requested: bool
    ) -> dict[str, Extractor]:
        kinds: dict[str, set[str]] = {}
        for choice in self._choices:
            if choice.extractor:
                kinds.setdefault(choice.extractor, set()).update(choice.metric.feature_kinds)
        if weights and len(kinds) != 1:
            names = ", ".join(kinds) or "none"
            raise UsageError(f"--weights is for one extractor, but these metrics use: {names}. Give fewer --metrics.")
        loaded = {name: Extractor(zoo, name, of, self._device, weights, sha256) for name, of in kinds.items()}
        dims = {name: extractor.check(values) for name, extractor in loaded.items()}
        for choice in list(self._choices):
            found = dims.get(choice.extractor or "", {})
            width = max((found[kind] for kind in choice.metric.feature_kinds), default=values[0].numel())
            least = choice.metric.min_samples(width)
            if self.n < least:
                name = choice.name + choice.suffix
                too_few = TooFewSamples(f"The metric {name!r} needs at least {least} samples here, not {self.n}.")
                self._choices.remove(choice)
                if requested or not self._choices:
                    raise too_few
                warn(f"{too_few} It is left out.")
                self.left_out[name] = str(too_few)
        return loaded


def _words(model: Model | None) -> str:
    return f"this one ({type(model).__name__})" if model else "a dataset (--real)"


def _choose(zoo: Zoo, name: str, extractor: str, options: Mapping[str, Mapping[str, Any]]) -> _Choice:
    """Return the metric of a name such as ``fd-mnist``, with its options and its extractor."""
    known = zoo.names("metric")
    plugin, slash, bare = name.rpartition("/")
    metric = bare
    if bare not in known:
        bases = [base for base in known if bare.startswith(f"{base}-")]
        if not bases:
            raise UsageError(f"Unknown metric {name!r}. {nearest(bare, known)}")
        metric = max(bases, key=len)
        extractor = bare.removeprefix(f"{metric}-")
    resolved = resolve(zoo.part("metric", plugin + slash + metric), PartChoice(metric, options.get(metric, {})), metric)
    cls: type[Metric] = resolved.cls
    if metric != bare and (not cls.feature_kinds or cls.extractor):
        raise UsageError(f"The metric {metric!r} takes no extractor: write {metric!r}, not {name!r}.")
    extractor = cls.extractor or extractor
    suffix = f"-{extractor.rpartition('/')[2]}" if cls.feature_kinds and not cls.extractor else ""
    used = extractor if cls.feature_kinds else None
    return _Choice(metric, resolved.build(), resolved.choice.options, used, suffix)


def by_table(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{"prdc.nearest": 3}`` as ``{"prdc": {"nearest": 3}}``.

    Raises:
        UsageError: a path has another form.
    """
    tables: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        table, dot, name = path.partition(".")
        if not (table and dot and name):
            raise UsageError(f"The setting {path!r} must be data.OPTION or METRIC.OPTION, such as prdc.nearest.")
        tables.setdefault(table, {})[name] = value
    return tables
