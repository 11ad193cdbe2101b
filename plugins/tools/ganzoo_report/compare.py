"""``ganzoo compare``: several runs in one table."""

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli import tables
from ganzoo_report.measured import Chosen, choose_all, generated, mismatches

if TYPE_CHECKING:
    from ganzoo_report.runs import ReportedRun


@click.command("compare")
@click.argument("directories", metavar="DIRECTORY...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(directories: tuple[Path, ...], as_json: bool) -> None:
    """Compare runs: the settings that differ, and the numbers.

    The numbers are those recorded by 'ganzoo evaluate' and during training. If a run was measured in several ways, the
    table shows the combination of checkpoint, sample count and options that most runs have in common.
    """
    from ganzoo_report.runs import read_runs
    from ganzoo_report.settings import differing, settings_of

    runs = read_runs(directories)
    settings = differing(settings_of([run.recipe for run in runs]))
    chosen = choose_all([run.records for run in runs])
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

    table = [["DIRECTORY", "RECIPE", "STEP", *settings[0], "SECONDS", *chosen]]
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
        if not generated(run.records):
            tables.say(f"{run.name} has not been evaluated yet: ganzoo evaluate {shlex.quote(run.name)}")


def _width(table: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*table, strict=True)) - 2


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
