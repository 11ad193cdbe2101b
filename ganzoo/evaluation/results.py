"""The numbers of an evaluation, and their records."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ganzoo.metric import Score
from ganzoo.recipes import PartChoice
from ganzoo.runs import records
from ganzoo.runs.records import Record


@dataclass(frozen=True)
class Result:
    """One number, and how it was computed.

    Attributes:
        name: such as ``fd-mnist``.
        score: the number.
        how: n, seed, the metric's options, the extractor and the SHA-256 of its weights, the SHA-256 of the real
            samples, and seconds (which include feature extraction the first time an extractor is used).
    """

    name: str
    score: Score
    how: Mapping[str, Any]

    def record(self, data: PartChoice, *, checkpoint: str, step: int, device: str) -> Record:
        """Return the record of this number.

        Args:
            data: the dataset of the real samples, with all its options (its split among them).
            checkpoint: "last", "best", a step as the user wrote it, "training" (measured during training), or "real"
                (real samples in place of generated ones).
            step, device: of the model.
        """
        return {
            "metric": self.name,
            "value": self.score.value,
            "better": self.score.better,
            "details": dict(self.score.details),
            "checkpoint": checkpoint,
            "step": step,
            **self.how,
            "data": {"name": data.name, **data.options},
            "device": device,
            "versions": records.versions(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def check_scores(scores: Any) -> Mapping[str, Score]:
    """Return what a metric returned, as plain numbers.

    Raises:
        TypeError, ValueError: it is not a mapping of scores, or a number is not finite.
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
