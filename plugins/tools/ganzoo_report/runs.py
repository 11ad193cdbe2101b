"""What run directories say about their runs, ready to be laid out. Anything but the recipe may be missing."""

import re
import shlex
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ganzoo import Recipe
from ganzoo.runs.directory import RECIPE, RunDirectory
from ganzoo.runs.records import Record
from ganzoo_report.measured import choose_all, mismatches
from ganzoo_report.settings import group

T = TypeVar("T")
Table = list[tuple[str, list[str]]]
"""Rows of a title and one text per run."""


@dataclass(frozen=True)
class ReportedRun:
    """One run of a report.

    Attributes:
        name: its directory as it was typed.
        setting: what it is called in a comparison: the runs with this label differ in their seed only.
        color: of its curves, the same for all runs of the setting.
        directory, recipe: where it is, and what was trained.
        recipe_text: the content of recipe.toml.
        status: the content of run.json; empty if it is missing.
        ticks, alarms: the lines of metrics.jsonl.
        records: those of evaluations.jsonl, oldest first.
    """

    name: str
    setting: str
    color: str
    directory: RunDirectory
    recipe: Recipe
    recipe_text: str
    status: dict[str, Any]
    ticks: list[dict[str, float]]
    alarms: list[dict[str, Any]]
    records: list[Record]

    @property
    def typed(self) -> str:
        """Its directory, as a shell takes it."""
        return shlex.quote(self.name)

    @property
    def typed_recipe(self) -> str:
        """The path of its recipe, as a shell takes it."""
        return shlex.quote(str(self.directory.path / RECIPE))


@dataclass(frozen=True)
class Comparison:
    """A table with a row per setting.

    Attributes:
        heads: the settings that differ, the seeds, and the metrics, with an arrow that says which direction is better.
        rows: the first run of each setting, and texts. The values of several runs are a mean and a standard deviation.
        notes: what is not comparable.
    """

    heads: list[str]
    rows: list[tuple[ReportedRun, list[str]]]
    notes: list[str]


def read_runs(directories: Sequence[Path]) -> list[ReportedRun]:
    """Read all runs.

    Raises:
        UsageError: one of them is not a run directory, or its recipe cannot be read.
    """
    found = [RunDirectory.open(path) for path in dict.fromkeys(directories)]
    recipes = [directory.recipe for directory in found]
    settings = {number: setting for setting in group(recipes) for number in setting.members}
    return [
        ReportedRun(
            str(directory.path),
            settings[number].label,
            settings[number].color,
            directory,
            recipe,
            (directory.path / RECIPE).read_text(encoding="utf-8"),
            directory.status,
            directory.read_metrics(),
            directory.read_alarms(),
            directory.read_records(),
        )
        for number, (directory, recipe) in enumerate(zip(found, recipes, strict=True))
    ]


def thin(items: Iterable[T], limit: int) -> list[T]:
    """Return at most ``limit`` (2 or more) of the items, evenly spaced, including the first and the last."""
    items = list(items)
    if len(items) <= limit:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def comparison(runs: Sequence[ReportedRun]) -> Comparison:
    """Return what the table at the head of a report of several runs says."""
    groups, chosen = group([run.recipe for run in runs]), choose_all([run.records for run in runs])
    rows = []
    for setting in groups:
        values = ["none" if value is None else str(value) for value in setting.values.values()]
        seeds = ", ".join(str(runs[number].recipe.train.get("seed", "-")) for number in setting.members)
        numbers = [_spread([records[number] for number in setting.members]) for records in chosen.values()]
        rows.append((runs[setting.members[0]], [*values, seeds, *numbers]))
    arrows = {"lower": " \u2193", "higher": " \u2191"}
    known = {name: next(filter(None, records)) for name, records in chosen.items()}
    metrics = [name + arrows.get(record.get("better", ""), "") for name, record in known.items()]
    return Comparison([*groups[0].values, "seeds", *metrics], rows, [one.capitalize() for one in mismatches(chosen)])


def _spread(records: Sequence[Record | None]) -> str:
    """Return the mean of the values of some runs, with their standard deviation if there are several."""
    values = [record["value"] for record in records if record]
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.5g}"
    return f"{mean} \u00b1 {statistics.stdev(values):.2g}" if len(values) > 1 else mean


def summary(runs: Sequence[ReportedRun]) -> Table:
    """Return the table at the head of a report."""
    columns = [_summary_of(run) for run in runs]
    return [(title, [column[title] for column in columns]) for title in columns[0]]


def _summary_of(run: ReportedRun) -> dict[str, str]:
    status = run.status
    state = str(status.get("state", "unknown: run.json is missing"))
    if state == "running":
        state = "running, or killed"
    step, total = status.get("step", "-"), status.get("total_steps")
    parameters = status.get("parameters")
    players = parameters.items() if isinstance(parameters, dict) else ()
    return {
        "Recipe": run.recipe.name,
        "Title": run.recipe.title or "-",
        "State": state + (f": {status['reason']}" if status.get("reason") else ""),
        "Step": f"{step} of {total}" if total else str(step),
        "Training time": duration(status.get("seconds")),
        "Parameters": ", ".join(f"{player} {count:,}" for player, count in players) or "-",
        "Started": _time(status.get("started")),
        "Last updated": _time(status.get("updated")),
    }


def environment(runs: Sequence[ReportedRun]) -> Table:
    """Return the table of what the runs ran on; empty if no run says."""
    columns = []
    for run in runs:
        versions = run.status.get("versions")
        column = {title: run.status.get(title) for title in ("device", "threads", "seed", "platform")}
        columns.append(column | (versions if isinstance(versions, dict) else {}))
    titles = [title for title in dict.fromkeys(t for c in columns for t in c) if any(c.get(title) for c in columns)]
    return [(title, [str(column.get(title, "-")) for column in columns]) for title in titles]


def evaluations(runs: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """Return the rows of the table of evaluations: the newest record per run, metric and checkpoint, sorted by
    metric."""
    newest = {
        (record["metric"], str(record.get("checkpoint", "-")), number): record
        for number, run in enumerate(runs)
        for record in run.records
    }
    metrics = list(dict.fromkeys(metric for metric, _, _ in newest))
    keys = sorted(newest, key=lambda key: (metrics.index(key[0]), key[1], key[2]))
    return [{"run": runs[key[2]], **_evaluation_row(newest[key])} for key in keys]


def _evaluation_row(record: Record) -> dict[str, str]:
    data, value = record.get("data"), record["value"]
    if isinstance(data, dict):
        data = " ".join([str(data.get("name", "-")), *(f"{k}={v}" for k, v in data.items() if k != "name")])
    row = {name: str(record.get(name, "-")) for name in ("metric", "better", "checkpoint", "step", "n", "seed")}
    return row | {
        "value": f"{value:.6g}" if isinstance(value, (int, float)) else str(value),
        "extractor": str(record.get("extractor") or "-"),
        "extractor_sha256": _hash(record.get("extractor_sha256")),
        "data": str(data or "-"),
        "data_sha256": _hash(record.get("data_sha256")),
        "measured": _time(record.get("measured")),
    }


def _hash(text: Any) -> str:
    """Return the first digits of a SHA-256; "-" for what is none, such as a remark that there are no weights."""
    return str(text)[:12] if re.fullmatch("[0-9a-f]{64}", str(text)) else "-"


def duration(seconds: Any) -> str:
    """Return seconds as text: 48.3 s, 12 min 5 s, 3 h 20 min."""
    if not isinstance(seconds, (int, float)):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _time(text: Any) -> str:
    return str(text).replace("T", " ").replace("+00:00", " UTC") if text else "-"
