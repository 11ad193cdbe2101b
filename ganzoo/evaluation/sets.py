"""Two sets of samples, measured against each other: pictures, samples of a run, or features that were saved before.

It is an ``Evaluator`` whose two sides are given, instead of a model and a dataset.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo.data import Batch, Dataset
from ganzoo.errors import UsageError
from ganzoo.evaluation.evaluator import Evaluator, _Choice, _choose
from ganzoo.evaluation.extractors import Extractor
from ganzoo.evaluation.results import Result
from ganzoo.evaluation.stored import Features, SampleSet
from ganzoo.metric import Samples
from ganzoo.zoo import Zoo


@dataclass(frozen=True)
class _Saved:
    """What is said about an extractor that is not needed, because all its features were saved."""

    name: str
    sha256: str


class Sets(Evaluator):
    """Measures one set of samples against another."""

    def __init__(
        self,
        zoo: Zoo,
        first: SampleSet,
        second: SampleSet,
        *,
        seed: int,
        device: torch.device,
        defaults: Dataset | None = None,
        metrics: Sequence[str] = (),
        extractor: str | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        weights: Path | None = None,
        sha256: str | None = None,
    ) -> None:
        """Choose, load and check everything.

        Args:
            zoo: the plugins.
            first, second: the sets. The second takes the place of real samples. The larger one is cut.
            seed: of metrics that draw at random.
            device: of the extractors.
            defaults: the dataset whose metrics and extractor are the defaults, if features in a file do not decide.
            metrics, extractor, options, weights, sha256: as for ``Evaluator``.

        Raises:
            UsageError: a name, an option or weights that do not fit, too few samples, or features that were not saved.
        """
        self._sets, self._device, self.seed = (first, second), device, seed
        self.n, self.left_out = min(len(first), len(second)), dict[str, str]()
        saved = next((name for one in (second, first) for name in one.features), None)
        default = extractor or saved or (defaults.extractor if defaults else "raw")
        names = metrics or (defaults.metrics if defaults else Dataset.metrics)
        self._choices = [_choose(zoo, name, default, options or {}) for name in names]
        if wrong := set(options or {}) - {choice.name for choice in self._choices}:
            raise UsageError(f"The setting {min(wrong)}.* is of a metric that is not measured here.")
        if sha256 and not weights:
            raise UsageError("--sha256 is the expected hash of the file in --weights: give both.")
        with self._seeded():
            loaded: Any = self._loaded(zoo, weights, sha256)
            self._extractors = loaded
            self._drop_unfit_sets(requested=bool(metrics))
            self._check_alike()
        self.real_sha256 = hashlib.sha256(_bytes(second)).hexdigest()
        self._real = self._side_of(second)

    def compare(self) -> list[Result]:
        """Return the numbers.

        Raises:
            UsageError: a metric cannot be computed for these samples.
        """
        with self._seeded():
            return self._measure(self._side_of(self._sets[0]), self._real)

    def extracted(self) -> tuple[Features, dict[str, str]]:
        """Return the features of the first set that the metrics read, and the SHA-256 of the extractors' weights."""
        found: dict[str, dict[str, Tensor]] = {}
        with self._seeded():
            side = self._side_of(self._sets[0])
            for choice in self._choices:
                for kind in choice.metric.feature_kinds:
                    found.setdefault(_bare(choice), {})[kind] = side(choice).features(kind)
        if not found:
            raise UsageError("None of these metrics reads features, so there is nothing to save. Give --metrics.")
        return found, {extractor.name: extractor.sha256 for extractor in self._extractors.values()}

    def _loaded(self, zoo: Zoo, weights: Path | None, sha256: str | None) -> dict[str, Any]:
        """Return the extractors, by name: those that are needed are loaded."""
        kinds: dict[str, set[str]] = {}
        for choice in self._choices:
            if choice.extractor:
                kinds.setdefault(choice.extractor, set()).update(choice.metric.feature_kinds)
        bare = {name: name.rpartition("/")[2] for name in kinds}
        needed = [name for name in kinds if any(bare[name] not in one.features for one in self._sets)]
        if weights and len(needed) != 1:
            raise UsageError(f"--weights is for one extractor, but {len(needed) or 'none'} is needed here.")
        found: dict[str, Any] = {}
        for name, of in kinds.items():
            if name in needed:
                found[name] = Extractor(zoo, name, of, self._device, weights, sha256)
            else:
                found[name] = _Saved(bare[name], self._sets[1].sha256.get(bare[name], ""))
        return found

    def _drop_unfit_sets(self, requested: bool) -> None:
        """Drop metrics that these samples do not allow. If they were requested by name, raise an error instead."""
        for choice in list(self._choices):
            problem = next((reason for one in self._sets if (reason := _unfit(choice, one))), "")
            if not problem:
                least = choice.metric.min_samples(self._width(choice))
                problem = f"needs at least {least} samples here, not {self.n}." if self.n < least else ""
            if problem and requested:
                raise UsageError(f"The metric {choice.name + choice.suffix!r} {problem}")
            if problem:
                self.left_out[choice.name + choice.suffix] = problem
                self._choices.remove(choice)
        if not self._choices:
            reasons = "; ".join(f"{name} {why.rstrip('.')}" for name, why in self.left_out.items())
            raise UsageError(f"Nothing can be measured: {reasons}. Give --metrics.")

    def _width(self, choice: _Choice) -> int:
        """Return the dimension of what a metric reads."""
        values = next((one.values for one in self._sets if one.values is not None), None)
        if not choice.extractor:
            return values[0].numel() if values is not None else 1
        stored = next((found for one in self._sets if (found := one.features.get(_bare(choice)))), None)
        if stored or values is None:
            dims = {kind: features.shape[1] for kind, features in (stored or {}).items()}
        else:
            dims = self._extractors[choice.extractor].check(values)
        return max(dims[kind] for kind in choice.metric.feature_kinds)

    def _check_alike(self) -> None:
        """Refuse features of different weights, and samples of different shapes where shapes matter."""
        for name, extractor in self._extractors.items():
            for one in self._sets:
                stored = one.sha256.get(extractor.name)
                if stored is not None and stored != extractor.sha256:
                    raise UsageError(
                        f"{one.name} has features of other weights of the extractor {name!r}: SHA-256 {stored[:12]}, "
                        f"not {extractor.sha256[:12]}. Save them again."
                    )
        metas = [one.dataset.fields[one.dataset.target].meta for one in self._sets if one.dataset]
        if any(meta != metas[0] for meta in metas):
            raise UsageError("These samples have different columns or scales, so their numbers mean different things.")
        shapes = {one.shape for one in self._sets if one.shape}
        saved = [one.name for one in self._sets if one.values is None]
        if len(shapes) > 1 and saved:
            raise UsageError(
                f"{saved[0]} has features of samples of another shape: {' and '.join(map(str, sorted(shapes)))}. Save "
                "them with --set data.size=SIZE, or compare with the folder itself."
            )
        direct = [choice.name for choice in self._choices if choice.extractor in (None, "raw", "pyramid")]
        if len(shapes) > 1 and direct:
            raise UsageError(
                f"{direct[0]!r} compares samples of one shape, but these have different ones: "
                f"{' and '.join(map(str, sorted(shapes)))}. Give --extractor, or --set data.size=SIZE."
            )

    def _side_of(self, one: SampleSet) -> Callable[[_Choice], Samples]:
        """Return a function that returns a set as a metric sees it."""
        values = one.values if one.values is not None else torch.empty(0)
        extract = cache(lambda name: self._extractors[name](values[: self.n]))

        def features(choice: _Choice, kind: str) -> Tensor:
            if stored := one.features.get(_bare(choice)):
                return stored[kind][: self.n]
            found: Tensor = extract(choice.extractor)[kind]
            return found

        dataset: Any = one.dataset or self._sets[0].dataset or self._sets[1].dataset
        extras: Batch = {}
        return lambda choice: Samples(
            values[: self.n], extras, dataset, self.seed, None, lambda kind: features(choice, kind)
        )


def _bare(choice: _Choice) -> str:
    return (choice.extractor or "").rpartition("/")[2]


def _bytes(one: SampleSet) -> bytes:
    tensors = [one.values] if one.values is not None else [f for own in one.features.values() for f in own.values()]
    return b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)


def _unfit(choice: _Choice, one: SampleSet) -> str:
    """Return why a metric cannot read a set; empty if it can."""
    if choice.metric.required_fields:
        return f"needs samples that come with {choice.metric.required_fields[0]!r}, which these do not."
    if choice.metric.required_methods:
        return f"needs samples of a model with {choice.metric.required_methods[0]!r}, and is for 'ganzoo evaluate DIR'."
    if one.values is None:
        if not choice.metric.feature_kinds:
            return f"needs the samples themselves, and {one.name} has features only."
        stored = one.features.get(_bare(choice), {})
        if missing := [kind for kind in choice.metric.feature_kinds if kind not in stored]:
            there = ", ".join(f"{kind} of {name}" for name, own in one.features.items() for kind in own)
            return f"needs features {missing[0]} of {_bare(choice)}, and {one.name} has: {there}. Save it again."
    elif one.dataset is not None:
        try:
            choice.metric.check(one.dataset)
        except ValueError as error:
            return f"does not fit {one.name}: {error}."
    return ""
