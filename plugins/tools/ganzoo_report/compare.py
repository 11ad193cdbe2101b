"""``ganzoo compare``: several runs in one table."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo import Recipe
from ganzoo.cli import tables
from ganzoo.runs.records import Record

if TYPE_CHECKING:
    from ganzoo_report.runs import ReportedRun

Chosen = Mapping[str, Sequence[Record | None]]
"""Metric -> the record of each run to show."""

_COMPARABLE = {
    "checkpoint": "checkpoints",
    "n": "n",
    "seed": "seeds",
    "options": "options",
    "extractor_sha256": "extractor weights",
    "data_sha256": "real samples",
}
"""The keys of records that must be equal, and what messages call them."""


@click.command("compare")
@click.argument("directories", metavar="DIRECTORY...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(directories: tuple[Path, ...], as_json: bool) -> None:
    """Compare runs: the settings that differ, and the numbers.

    The numbers are those recorded by 'ganzoo evaluate' and during training. If a run was measured in several ways, the
    table shows the combination of checkpoint, sample count and options that most runs have in common.
    """
    from ganzoo_report.runs import read_runs

    runs = read_runs(directories)
    settings = differing([settings_of(run.recipe) for run in runs])
    metrics = dict.fromkeys(record["metric"] for run in runs for record in _generated(run.records))
    chosen = {metric: choose([run.records for run in runs], metric) for metric in metrics}
    if as_json:
        rows = [
            {
                "directory": run.name,
                "recipe": run.recipe.name,
                "step": run.status.get("step"),
                "seconds": run.status.get("seconds"),
                "settings": settings[number],
                "metrics": {metric: records[number] for metric, records in chosen.items()},
            }
            for number, run in enumerate(runs)
        ]
        click.echo(json.dumps({"runs": rows, "not_comparable": list(mismatches(chosen))}, indent=2))
        return

    table = [["DIRECTORY", "RECIPE", "STEP", *settings[0], "SECONDS", *metrics]]
    for number, run in enumerate(runs):
        start = [run.name, run.recipe.name, run.status.get("step"), *settings[number].values()]
        values = [record and record["value"] for record in (records[number] for records in chosen.values())]
        table.append([_cell(value) for value in (*start, run.status.get("seconds"), *values)])
    columns = [list(column) for column in zip(*table, strict=True)]
    if _width(table) > shutil.get_terminal_size((120, 24)).columns and _width(columns) < _width(table):
        table = columns  # one column per run
    tables.show(table[0], table[1:])
    click.echo()
    for line in (*_directions(chosen), *mismatches(chosen), *_outdated(runs, chosen)):
        tables.say(line)
    for run in runs:
        if not _generated(run.records):
            click.echo(f"{run.name} has not been evaluated yet: ganzoo evaluate {run.name}")


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return all settings of a recipe by path: ``{"model": "fc", "model.latent_dim": 126, ...}``."""
    flat: dict[str, Any] = {}

    def add(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add(f"{path}.{name}", inner)
        else:
            flat[path] = value

    for kind in ("data", "model", "loss"):
        part = getattr(recipe, kind)
        flat[kind] = part.name
        add(kind, part.options)
    for table in ("penalties", "optimizer", "train"):
        add(table, getattr(recipe, table))
    return flat


def differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each run, the settings that are not the same in all; None if a run has no such setting."""
    names = dict.fromkeys(name for one in settings for name in one)
    kept = [name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)]
    return [{name: one.get(name) for name in kept} for one in settings]


def choose(records: Sequence[Sequence[Record]], metric: str) -> list[Record | None]:
    """Return the record of each run to show for a metric, or None: the newest of those measured in the way (checkpoint,
    n and options) that most runs share, otherwise the newest."""
    per_run = [[record for record in _generated(own) if record["metric"] == metric] for own in records]
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
        yield f"not comparable: {', '.join(metrics)}; measured with different {why}"


def _width(table: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*table, strict=True)) - 2


def _generated(records: Sequence[Record]) -> list[Record]:
    """Return the records about generated samples, not about real ones in their place."""
    return [record for record in records if record.get("checkpoint") != "real"]


def _way(record: Record) -> Hashable:
    return _value(record, "checkpoint"), record.get("n"), json.dumps(record.get("options"), sort_keys=True)


def _value(record: Record, key: str) -> Any:
    """Return a value of a record; "step" for a checkpoint that was chosen by its step."""
    value = record.get(key)
    return "step" if key == "checkpoint" and re.fullmatch("[0-9]+", str(value)) else value


def _directions(chosen: Chosen) -> Iterator[str]:
    for better in ("lower", "higher"):
        names = [m for m, records in chosen.items() if any(r and r.get("better") == better for r in records)]
        if names:
            yield f"{better} is better: {', '.join(names)}"


def _outdated(runs: "Sequence[ReportedRun]", chosen: Chosen) -> Iterator[str]:
    """Yield a sentence for each number that was measured at another step than the run has reached."""
    for number, run in enumerate(runs):
        step = run.status.get("step")
        shown = [(metric, record) for metric, records in chosen.items() if (record := records[number])]
        for earlier in sorted({record["step"] for _, record in shown if isinstance(record.get("step"), int)} - {step}):
            names = ", ".join(metric for metric, record in shown if record.get("step") == earlier)
            yield f"{run.name}: {names} measured at step {earlier}; the run is at step {step}"


def _cell(value: Any) -> str:
    """Return a value as the text of a table cell: five significant digits of a number."""
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
