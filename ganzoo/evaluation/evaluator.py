"""The evaluator: everything chosen and checked once, then as many models measured as one likes.

Called by ``Run.evaluate`` with a trained model, and by the training loop every so often. What flows through it: real
samples, drawn once; the model's samples, drawn anew each time from the same noise; features of both, extracted once an
extractor whatever the number of metrics.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import options
from ganzoo.data import Batch, Data
from ganzoo.errors import GanzooError, UsageError, nearest, unknown
from ganzoo.evaluation import draw
from ganzoo.evaluation.extractors import Extractor
from ganzoo.metric import Metric, Samples, Score
from ganzoo.model import Model
from ganzoo.plugins import Zoo, describe
from ganzoo.training import randomness


@dataclass(frozen=True)
class Result:
    """One number, and how it was got.

    Attributes:
        name: such as ``fd-mnist``.
        score: the number.
        metric, settings: the metric's plain name, and all its options.
        extractor, sha256: whose features, and of which weights; empty where none were needed.
        seconds: spent on the metric; the first one in an extractor's features bears the extraction.
    """

    name: str
    score: Score
    metric: str
    settings: Mapping[str, Any]
    extractor: str
    sha256: str
    seconds: float


@dataclass(frozen=True)
class _Choice:
    name: str
    metric: Metric
    settings: Mapping[str, Any]
    extractor: str | None
    suffix: str


class Evaluator:
    """Measures models against one set of real samples.

    Attributes:
        n: samples on either side.
        seed: of the noise, and of the choice of real samples.
        real_sha256: of the real samples that were drawn.
    """

    def __init__(
        self,
        zoo: Zoo,
        data: Data,
        model: Model | None,
        *,
        metrics: Sequence[str] = (),
        extractor: str | None = None,
        n: int,
        seed: int,
        device: torch.device,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        weights: Path | None = None,
        sha256: str | None = None,
    ) -> None:
        """Choose, load and check everything.

        Args:
            data: what is imitated; its ``metrics`` and ``extractor`` are the defaults.
            model: a model of those that will be measured: it shows what comes with its samples; None for real ones.
            metrics: names, such as ``fd`` (in the features of ``extractor``), ``fd-mnist`` or ``fid``.
            extractor: whose features, where a metric's name does not say.
            n: samples on either side.
            seed: of the noise, and of the choice of real samples.
            settings: metric -> its options.
            weights, sha256: see ``Extractor``.

        Raises:
            UsageError: a name, option or weight that does not fit, or too few samples.
        """
        target = next(iter(data.fields))
        self._data, self._target, self._device = data, target, device
        self.n, self.seed = n, seed
        usual = (*data.metrics, *(model.metrics if model else ()))
        chosen = [self._choose(zoo, name, extractor or data.extractor, settings or {}) for name in metrics or usual]
        self._choices = list({(choice.name, choice.extractor): choice for choice in chosen}.values())
        for name in (settings or {}).keys() - {choice.name for choice in self._choices}:
            raise unknown(
                "metric", name, [choice.name for choice in self._choices], "the settings (--set METRIC.OPTION)"
            )
        self._drop_unfit(model, asked=bool(metrics))
        if sha256 and not weights:
            raise UsageError("--sha256 says what the file given by --weights must be: give both.")
        with self._seeded():
            values, given = draw.gather(draw.real(data, target, n, seed), data)
            self.real_sha256 = hashlib.sha256(values.numpy().tobytes()).hexdigest()
            self._extractors = self._load(zoo, values, weights, sha256)
        self._real = _Set(self, values, given, None)

    def measure(self, model: Model) -> list[Result]:
        """Return the numbers of a model in eval mode, on the evaluator's device; always from the same noise.

        Raises:
            UsageError: a metric cannot be computed for it.
        """
        with self._seeded():
            rng = randomness.generator(self.seed, "evaluation")
            # A model that is given something of real samples gets the very ones it is measured against.
            real = draw.real(self._data, self._target, self.n, self.seed) if model.given else None
            batches = draw.generated(model, self.n, rng, self._device, real=real)
            needed = {name for choice in self._choices for name in choice.metric.needs}
            values, given = draw.gather(batches, self._data, needed.union(model.given))  # all latents would be large
            return self._measure(_Set(self, values, given, model))

    def measure_real(self) -> list[Result]:
        """Return the numbers of other real samples in place of generated ones: how good they can get."""
        with self._seeded():
            others = draw.real(self._data, self._target, self.n, self.seed, skip=self.n)
            values, given = draw.gather(others, self._data)
            return self._measure(_Set(self, values, given, None))

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Within the block the global generators, which parts may draw from, are seeded; then they are as before."""
        with randomness.preserved():
            randomness.seed_global(randomness.derive(self.seed, "evaluation", "global"))
            yield

    def extract(self, extractor: str, values: Tensor) -> dict[str, Tensor]:
        """Return an extractor's features of samples, a layer each."""
        return self._extractors[extractor](values)

    def _measure(self, fake: "_Set") -> list[Result]:
        results = []
        for choice in self._choices:
            began = time.perf_counter()
            try:
                scores = _checked(choice.metric.measure(fake.seen_by(choice), self._real.seen_by(choice)))
            except GanzooError:
                raise
            except Exception as error:
                raise UsageError(f"The metric {choice.name!r} cannot be computed here: {describe(error)}.") from error
            seconds = time.perf_counter() - began
            extractor = self._extractors.get(choice.extractor or "")
            source = (extractor.name, extractor.sha256) if extractor else ("", "")
            for name, score in scores.items():
                results.append(Result(name + choice.suffix, score, choice.name, choice.settings, *source, seconds))
        return results

    def _choose(self, zoo: Zoo, name: str, extractor: str, settings: Mapping[str, Mapping[str, Any]]) -> _Choice:
        known = zoo.names("metrics")
        plugin, slash, bare = name.partition("/") if "/" in name else ("", "", name)
        metric = bare
        if bare not in known:
            bases = [base for base in known if bare.startswith(f"{base}-")]
            if not bases:
                raise UsageError(f"Unknown metric {name!r}. {nearest(bare, known)}")
            metric = max(bases, key=len)
            extractor = bare.removeprefix(f"{metric}-")
        part = zoo.part("metrics", plugin + slash + metric)
        kind = part.load()
        if not (isinstance(kind, type) and issubclass(kind, Metric)):
            raise GanzooError(f"The metric {metric!r} of the plugin {part.plugin} is {kind!r}, not a Metric.")
        if metric != bare and (not kind.layers or kind.extractor):
            raise UsageError(f"The metric {metric!r} takes no extractor: write {metric!r}, not {name!r}.")
        chosen = options.check(kind, settings.get(metric, {}), metric)
        plain = options.plain(kind, chosen)
        extractor = kind.extractor or extractor
        suffix = f"-{extractor.rpartition('/')[2]}" if kind.layers and not kind.extractor else ""
        return _Choice(metric, kind(**chosen), plain, extractor if kind.layers else None, suffix)

    def _drop_unfit(self, model: Model | None, asked: bool) -> None:
        """Leave out metrics that are not for these data, or need what does not come with the samples; if they were
        asked for, say so."""
        there = set(self._data.fields)
        if model:
            there = {*model.latent(1, torch.Generator()), *(there if model.given else ())}
        for choice in list(self._choices):
            problem = ""
            if missing := [name for name in choice.metric.needs if name not in there]:
                with_these = ", ".join(sorted(there)) or "nothing"
                problem = f"needs samples that come with {missing[0]!r}; these come with: {with_these}."
            try:
                choice.metric.check(self._data)
            except ValueError as error:
                problem = f"does not fit these data: {error}."
            if problem and asked:
                raise UsageError(f"The metric {choice.name!r} {problem}")
            if problem:
                self._choices.remove(choice)
        if not self._choices:
            raise UsageError("There is nothing to measure: the data set names no metric that fits. Give --metrics.")

    def _load(self, zoo: Zoo, values: Tensor, weights: Path | None, sha256: str | None) -> dict[str, Extractor]:
        layers: dict[str, set[str]] = {}
        for choice in self._choices:
            if choice.extractor:
                layers.setdefault(choice.extractor, set()).update(choice.metric.layers)
        if weights and len(layers) != 1:
            names = ", ".join(layers) or "none"
            raise UsageError(f"--weights is for one extractor, but these metrics use: {names}. Give fewer --metrics.")
        loaded = {name: Extractor(zoo, name, of, self._device, weights, sha256) for name, of in layers.items()}
        widths = {name: extractor.check(values) for name, extractor in loaded.items()}
        for choice in self._choices:
            fewest = choice.metric.fewest(widths.get(choice.extractor or "", values[0].numel()))
            if self.n < fewest:
                raise UsageError(
                    f"The metric {choice.name + choice.suffix!r} needs at least {fewest} samples here, not {self.n}."
                )
        return loaded


def _checked(scores: Any) -> Mapping[str, Score]:
    """Return what a metric returned, as plain numbers.

    Raises:
        TypeError, ValueError: it is no mapping of scores, or a number is not finite.
    """
    if not isinstance(scores, Mapping) or not scores or not all(isinstance(s, Score) for s in scores.values()):
        raise TypeError(f"it must return name -> Score, not {scores!r:.80}")
    plain = {name: score._replace(value=float(score.value)) for name, score in scores.items()}
    for name, score in plain.items():
        if not math.isfinite(score.value):
            raise ValueError(f"{name} is {score.value}")
        if score.better not in ("lower", "higher", ""):
            raise ValueError(f"{name} is better {score.better!r}, which must be 'lower', 'higher' or ''")
        json.dumps(score.details)
    return plain


class _Set:
    """One side of the comparison; features are extracted when a metric first asks, and kept."""

    def __init__(self, evaluator: Evaluator, values: Tensor, given: Batch, model: Model | None) -> None:
        self._evaluator, self._values, self._given, self._model = evaluator, values, given, model
        self._features: dict[str, dict[str, Tensor]] = {}

    def seen_by(self, choice: _Choice) -> Samples:
        def features(layer: str) -> Tensor:
            name = choice.extractor
            if name is None or layer not in choice.metric.layers:
                raise GanzooError(
                    f"The metric {choice.name!r} asks for features {layer!r} that its layers do not name."
                )
            if name not in self._features:
                self._features[name] = self._evaluator.extract(name, self._values)
            return self._features[name][layer]

        data, seed = self._evaluator._data, self._evaluator.seed
        return Samples(self._values, self._given, data, seed, self._model, features)
