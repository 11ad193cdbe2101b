"""Cards: one line of JSON for each number, with all it takes to get it again. They are appended, never rewritten."""

import errno
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ganzoo
from ganzoo.evaluation.evaluator import Evaluator, Result
from ganzoo.registry import PartChoice

FILE = "evaluations.jsonl"
Card = dict[str, Any]


def make(
    results: list[Result],
    evaluator: Evaluator,
    data: PartChoice,
    *,
    checkpoint: str,
    step: int,
    device: str,
) -> list[Card]:
    """Return a card for each result.

    Args:
        data: the data set that gave the real samples, with all its settings (its split among them).
        checkpoint: "last", "best", a step as it was asked for, "training" (measured while it trained), or "real" (real
            samples in place of generated ones).
        step, device: of the model.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        {
            "metric": result.name,
            "value": result.score.value,
            "better": result.score.better,
            "details": dict(result.score.details),
            "checkpoint": checkpoint,
            "step": step,
            "n": evaluator.n,
            "seed": evaluator.seed,
            "settings": dict(result.settings),
            "extractor": result.extractor,
            "extractor_sha256": result.sha256,
            "data": {"name": data.name, **data.settings},
            "data_sha256": evaluator.real_sha256,
            "device": device,
            "versions": versions(),
            "seconds": round(result.seconds, 3),
            "measured": now,
        }
        for result in results
    ]


def append(folder: Path, cards: list[Card]) -> None:
    """Add cards to a run directory's evaluations.jsonl, all of them or none.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / FILE
    text = "".join(json.dumps(card) + "\n" for card in cards)
    cut = path.exists() and not path.read_bytes().endswith(b"\n")  # a kill half-way through a line
    content = ("\n" * cut + text).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        before = os.fstat(descriptor).st_size
        if os.write(descriptor, content) < len(content):
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path) -> list[Card]:
    """Return the cards of a run directory, the oldest first; a line that is none is left out."""
    path = folder / FILE
    if not path.exists():
        return []
    cards = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            card = json.loads(line)
        except ValueError:
            continue
        if isinstance(card, dict) and isinstance(card.get("metric"), str) and "value" in card:
            cards.append(card)
    return cards


def versions() -> dict[str, str]:
    """Return the versions that a number may depend on."""
    names = ("torch", "torchvision", "numpy", "safetensors", "torch-fidelity")
    found = {"ganzoo": ganzoo.__version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
