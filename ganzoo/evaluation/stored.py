"""A set of samples, or of features of samples in a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as format_tensors
from torch import Tensor

from ganzoo.data import Dataset
from ganzoo.errors import UsageError
from ganzoo.files import write_atomically

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
        saved_shape: of one sample, of saved features.
    """

    name: str
    dataset: Dataset | None = None
    values: Tensor | None = None
    features: Features = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    total: int = 0
    saved_shape: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample; empty if it is not known."""
        return self.saved_shape if self.values is None else tuple(self.values.shape[1:])

    def __len__(self) -> int:
        if self.values is not None:
            return len(self.values)
        return len(next(iter(next(iter(self.features.values())).values())))


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
        return SampleSet(
            str(path),
            features=features,
            sha256=dict(about["sha256"]),
            total=min(lengths),
            saved_shape=tuple(about["shape"]),
        )
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{wrong} ({' '.join(str(error).split())})") from error
