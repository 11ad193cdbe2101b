"""Two sets of samples, measured against each other: pictures, samples of a run, or features that were saved before.

It is an ``Evaluator`` whose two sides are given, instead of a model and a dataset.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as format_tensors
from torch import Tensor

from ganzoo.data import Batch, Dataset
from ganzoo.errors import UsageError
from ganzoo.evaluation.evaluator import Evaluator, _Choice, _choose
from ganzoo.evaluation.extractors import Extractor
from ganzoo.evaluation.results import Result
from ganzoo.files import write_atomically
from ganzoo.metric import Samples
from ganzoo.zoo import Zoo

SUFFIX = ".safetensors"
_FORMAT = "ganzoo features 1"

Features = Mapping[str, Mapping[str, Tensor]]
"""Extractor -> feature kind -> features (n, d)."""


@dataclass(frozen=True)
class SampleSet:
    """One side of a comparison.

    Attributes:
        name: what messages call it.
        dataset: what the samples belong to; None for saved features.
        values: samples (n, *shape) as metrics see them; None for saved features.
        features: those that were saved.
        sha256: extractor -> the SHA-256 of its weights, of saved features.
        total: of how many samples these were chosen.
    """

    name: str
    dataset: Dataset | None = None
    values: Tensor | None = None
    features: Features = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    total: int = 0

    def __len__(self) -> int:
        if self.values is not None:
            return len(self.values)
        return len(next(iter(next(iter(self.features.values())).values())))


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
        shapes = {tuple(one.values.shape[1:]) for one in self._sets if one.values is not None}
        direct = [choice.name for choice in self._choices if choice.extractor in (None, "raw")]
        if len(shapes) > 1 and direct:
            raise UsageError(
                f"{direct[0]!r} compares the samples themselves, but they have different shapes: "
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


def save(path: Path, features: Features, sha256: Mapping[str, str], about: Mapping[str, Any]) -> None:
    """Write features to a file.

    Args:
        path: the file.
        features: what ``Sets.extracted`` returned.
        sha256: of the extractors' weights.
        about: JSON values that say what they are of.
    """
    tensors, keys, known = {}, dict[str, dict[str, str]](), dict[int, str]()
    for extractor, kinds in features.items():
        for kind, value in kinds.items():  # kinds of one layer are saved once
            key = known.setdefault(value.data_ptr(), f"{extractor}/{kind}")
            keys.setdefault(extractor, {})[kind] = key
            tensors[key] = value.contiguous()
    head = {"kinds": keys, "sha256": dict(sha256), **about}
    write_atomically(path, format_tensors(tensors, {"format": _FORMAT, "about": json.dumps(head)}))


def read(path: Path) -> SampleSet:
    """Return the features in a file.

    Raises:
        UsageError: it is not a file of ``save``.
    """
    wrong = f"{path} does not hold features. Make a file of them with: ganzoo evaluate A --save-stats FILE{SUFFIX}"
    try:
        with safe_open(path, "pt") as file:
            head = file.metadata() or {}
            if head.get("format") != _FORMAT:
                raise UsageError(wrong)
            about = json.loads(head["about"])
            kinds = about["kinds"].items()
            features = {name: {kind: file.get_tensor(key) for kind, key in own.items()} for name, own in kinds}
        lengths = {len(value) for own in features.values() for value in own.values() if value.dim() == 2}
        finite = all(value.isfinite().all() for own in features.values() for value in own.values())
        if len(lengths) != 1 or not finite:
            raise UsageError(f"{path} is damaged: its features differ in number, or are not finite.")
        return SampleSet(str(path), features=features, sha256=dict(about["sha256"]), total=min(lengths))
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{wrong} ({' '.join(str(error).split())})") from error


def _bare(choice: _Choice) -> str:
    return (choice.extractor or "").rpartition("/")[2]


def _bytes(one: SampleSet) -> bytes:
    tensors = [one.values] if one.values is not None else [f for own in one.features.values() for f in own.values()]
    return b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)


def _unfit(choice: _Choice, one: SampleSet) -> str:
    """Return why a metric cannot read a set; empty if it can."""
    if choice.metric.required_fields:
        return f"needs samples that come with {choice.metric.required_fields[0]!r}, which these do not."
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
