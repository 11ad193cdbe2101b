"""``ganzoo reproduce``: train and measure a recipe once more, and write down what came out."""

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ganzoo import registry
from ganzoo.cli import run, tables
from ganzoo.errors import UsageError
from ganzoo.plugins import Zoo
from ganzoo.registry import Recipe


@click.command("reproduce")
@click.argument("recipe")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="N,...", help="One run each.")
@click.option("-n", "--number", type=click.IntRange(2), default=10_000, show_default=True, help="Samples measured.")
@click.option("--registry", "file", type=click.Path(path_type=Path), help="Write there, not where the recipe is from.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder of the runs; one that was begun is gone on with."
)
def command(recipe: str, seeds: str, number: int, file: Path | None, out: Path | None) -> None:
    """Reproduce a recipe's evidence.

    Runs the recipe's evidence command once a seed, measures the last and the best checkpoint of each, and writes mean
    and spread into the evidence of the recipe in its registry file.
    """
    chosen = _seeds(seeds)
    zoo = Zoo()
    found, origin = _find(zoo, recipe)
    typed = found.evidence.get("command", f"ganzoo run {shlex.quote(recipe)}")
    changed = _changed(zoo, found, typed)
    target = file or origin
    registry.check_target(target)
    from ganzoo.reproduction import reproduce

    out = out or Path("runs") / found.name / f"reproduce-{datetime.now():%Y%m%d-%H%M%S}"
    click.echo(f"{len(chosen)} runs of '{typed}', in {out}; if this is stopped, --out {out} goes on with them")
    evidence = reproduce(changed, typed, chosen, out, n=number, zoo=zoo, say=click.echo)
    click.echo()
    show(evidence)
    registry.write_evidence(target, found, evidence)
    click.echo(f"\nWritten to [{found.name}.evidence] of {target}; the runs are in {out}")


def show(evidence: registry.Settings) -> None:
    """Print evidence: the numbers as a table, the rest a line each."""
    for key, value in evidence.items():
        if key not in ("last", "best"):
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            text = ", ".join(map(str, text)) if isinstance(text, list) else text
            click.echo(f"  {key:<11} {text}")
    if last := evidence.get("last"):
        best = evidence.get("best", {})
        click.echo()
        rows = [[f"  {name}", with_spread(last[name]), with_spread(best.get(name, {}))] for name in last]
        tables.show(["  METRIC", "LAST", "BEST"], rows)


def with_spread(numbers: Any) -> str:
    """Return mean and spread of one metric's table, in short."""
    if "mean" not in numbers:
        return "-"
    return f"{numbers['mean']:.4g}" + (f" ± {numbers['spread']:.2g}" if "spread" in numbers else "")


def _seeds(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) != len(words):
        raise UsageError(f"--seeds {text!r} must be different whole numbers, such as 0,1,2.")
    return [int(word) for word in words]


def _find(zoo: Zoo, name: str) -> tuple[Recipe, Path]:
    """Return a recipe and the file it is from."""
    if name.endswith(".toml") or Path(name).is_file():
        return registry.read_one(Path(name)), Path(name)
    found = zoo.recipe(name)
    return found, next(Path(entry.origin) for entry in zoo.entries() if entry.recipe is found)


def _changed(zoo: Zoo, recipe: Recipe, typed: str) -> Recipe:
    """Return the recipe as the evidence command would train it."""
    wrong = f"The evidence command of {recipe.name!r} must be 'ganzoo run {recipe.name} ...', not {typed!r}"
    try:
        words = shlex.split(typed)
        if words[:2] != ["ganzoo", "run"]:
            raise UsageError(f"{wrong}.")
        values = run.command.make_context("ganzoo run", words[2:]).params
    except (ValueError, click.ClickException) as error:
        reason = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise UsageError(f"{wrong}: {reason}") from error
    from ganzoo import api

    if api.find_recipe(zoo, values.pop("recipe")).name != recipe.name:
        raise UsageError(f"{wrong}.")
    settings = dict(run.assignment(text) for text in values.pop("assignments"))
    return api.adapt(recipe, settings=settings, **{name: value for name, value in values.items() if name != "out"})
