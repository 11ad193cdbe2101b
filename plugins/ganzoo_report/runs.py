"""What a run directory says of its run, ready to be laid out; everything may be missing but the recipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganzoo.registry import Recipe
from ganzoo.training.run import RECIPE, RunDirectory

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333", "#8c6d31")
"""A colour a run, then around again: the first six are Okabe's and Ito's, https://jfly.uni-koeln.de/color/."""


@dataclass(frozen=True)
class ReportedRun:
    """One run of a report.

    Attributes:
        name: its directory as it was typed.
        colour: of its curves.
        directory, recipe: where it is, and what was trained.
        recipe_text: recipe.toml as it stands.
        record: run.json; empty where it is missing.
        ticks, alarms: the lines of metrics.jsonl.
        cards: of evaluations.jsonl, the oldest first.
    """

    name: str
    colour: str
    directory: RunDirectory
    recipe: Recipe
    recipe_text: str
    record: dict[str, Any]
    ticks: list[dict[str, float]]
    alarms: list[dict[str, Any]]
    cards: list[dict[str, Any]]


def read(directories: Sequence[Path]) -> list[ReportedRun]:
    """Read all runs.

    Raises:
        UsageError: one of them is no run directory, or its recipe cannot be read.
    """
    found = []
    for path in dict.fromkeys(directories):
        directory = RunDirectory.open(path)
        found.append(
            ReportedRun(
                str(path),
                COLOURS[len(found) % len(COLOURS)],
                directory,
                directory.recipe,
                (path / RECIPE).read_text(encoding="utf-8"),
                directory.record,
                directory.read_metrics(),
                directory.read_alarms(),
                directory.read_cards(),
            )
        )
    return found


def thin(items: Iterable[Any], most: int) -> list[Any]:
    """Return at most so many (2 or more) of the items, evenly spaced, the first and the last among them."""
    items = list(items)
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def summary(found: Sequence[ReportedRun]) -> list[tuple[str, list[str]]]:
    """Return the head of the report: (what, a text for each run)."""
    columns = [_summary_of(run) for run in found]
    return [(what, [column[what] for column in columns]) for what in columns[0]]


def _summary_of(run: ReportedRun) -> dict[str, str]:
    record = run.record
    state = str(record.get("state", "unknown: run.json is missing"))
    if state == "running":
        state = "running, or killed"
    step, total = record.get("step", "-"), record.get("total_steps")
    parameters = record.get("parameters")
    players = parameters.items() if isinstance(parameters, dict) else ()
    return {
        "Recipe": run.recipe.name,
        "Title": run.recipe.title or "-",
        "State": state + (f": {record['reason']}" if record.get("reason") else ""),
        "Step": f"{step} of {total}" if total else str(step),
        "Training time": duration(record.get("seconds")),
        "Parameters": ", ".join(f"{player} {count:,}" for player, count in players) or "-",
        "Started": _moment(record.get("started")),
        "Last written": _moment(record.get("updated")),
    }


def environment(found: Sequence[ReportedRun]) -> list[tuple[str, list[str]]]:
    """Return on what the runs ran: (what, a text for each run); empty where no run says."""
    columns = []
    for run in found:
        versions = run.record.get("versions")
        column = {what: run.record.get(what) for what in ("device", "threads", "seed", "platform")}
        columns.append({**column, **(versions if isinstance(versions, dict) else {})})
    names = [
        name for name in dict.fromkeys(n for column in columns for n in column) if any(c.get(name) for c in columns)
    ]
    return [(name, [str(column.get(name, "-")) for column in columns]) for name in names]


def numbers(found: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """Return the rows of the table of cards: the newest for each run, metric and checkpoint, metrics together."""
    newest = {
        (card["metric"], str(card.get("checkpoint", "-")), i): card for i, r in enumerate(found) for card in r.cards
    }
    order = list(dict.fromkeys(metric for metric, _, _ in newest))
    keys = sorted(newest, key=lambda key: (order.index(key[0]), key[1], key[2]))
    return [{"run": found[key[2]], **_row(newest[key])} for key in keys]


def _row(card: dict[str, Any]) -> dict[str, str]:
    data = card.get("data")
    value = card["value"]
    if isinstance(data, dict):
        data = " ".join([str(data.get("name", "-")), *(f"{k}={v}" for k, v in data.items() if k != "name")])
    row = {name: str(card.get(name, "-")) for name in ("metric", "better", "checkpoint", "step", "n", "seed")}
    return row | {
        "value": f"{value:.6g}" if isinstance(value, (int, float)) else str(value),
        "extractor": card.get("extractor") or "-",
        "extractor_sha256": str(card.get("extractor_sha256") or "-")[:12],
        "data": str(data or "-"),
        "data_sha256": str(card.get("data_sha256") or "-")[:12],
        "measured": _moment(card.get("measured")),
    }


def duration(seconds: Any) -> str:
    """Return seconds as people say them: 48.3 s, 12 min 5 s, 3 h 20 min."""
    if not isinstance(seconds, (int, float)):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _moment(text: Any) -> str:
    return str(text).replace("T", " ").replace("+00:00", " UTC") if text else "-"
