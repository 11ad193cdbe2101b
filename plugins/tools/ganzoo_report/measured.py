"""Which records of several runs to compare, and whether they were measured alike."""

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from ganzoo.runs.records import Record

Chosen = Mapping[str, Sequence[Record | None]]
"""Metric -> the record of each run to show."""

_COMPARABLE = {
    "checkpoint": "the choice of the checkpoint",
    "n": "n",
    "seed": "the seed",
    "options": "the options",
    "extractor_sha256": "the weights of the extractor",
    "data_sha256": "the real samples",
}
"""The keys of records that must be equal, and what messages call them."""


def choose_all(records: Sequence[Sequence[Record]]) -> Chosen:
    """Return the records to show for all metrics that some run has, of the records of each run."""
    metrics = dict.fromkeys(record["metric"] for own in records for record in generated(own))
    return {metric: choose(records, metric) for metric in metrics}


def choose(records: Sequence[Sequence[Record]], metric: str) -> list[Record | None]:
    """Return the record of each run to show for a metric, or None: the newest of those measured in the way (checkpoint,
    n and options) that most runs share, otherwise the newest."""
    per_run = [[record for record in generated(own) if record["metric"] == metric] for own in records]
    counts = Counter(way for own in per_run for way in dict.fromkeys(map(_way, reversed(own))))
    common = max(counts, key=counts.__getitem__)
    return [max(reversed(own), key=lambda record: _way(record) == common, default=None) for own in per_run]


def mismatches(chosen: Chosen) -> Iterator[str]:
    """Yield a sentence for each way in which records to compare were not measured alike."""
    reasons: dict[str, list[str]] = {}
    for metric, records in chosen.items():
        known = [record for record in records if record]
        differ = [word for key, word in _COMPARABLE.items() if len({str(_value(record, key)) for record in known}) > 1]
        if differ:
            reasons.setdefault(", ".join(differ), []).append(metric)
    for why, metrics in reasons.items():
        yield f"not comparable: {', '.join(metrics)}. The runs were not measured alike: they differ in {why}."


def generated(records: Sequence[Record]) -> list[Record]:
    """Return the records about generated samples, not about real ones in their place."""
    return [record for record in records if record.get("checkpoint") != "real"]


def _way(record: Record) -> Hashable:
    return _value(record, "checkpoint"), record.get("n"), json.dumps(record.get("options"), sort_keys=True)


def _value(record: Record, key: str) -> Any:
    """Return a value of a record; "step" for a checkpoint that was chosen by its step."""
    value = record.get(key)
    return "step" if key == "checkpoint" and re.fullmatch("[0-9]+", str(value)) else value
