"""``ganzoo reproduce``: train and measure a recipe again, and write down the evidence."""

import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ganzoo import evidence, recipes
from ganzoo.cli import options, run, tables
from ganzoo.errors import UsageError
from ganzoo.evidence import Evidence, with_spread
from ganzoo.recipes import Recipe
from ganzoo.zoo import Zoo


@click.command("reproduce")
@click.argument("recipe")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="N,...", help="Seeds; one run per seed.")
@options.number("Number of generated samples, and of real ones.  [default: 10,000, or as many as there are]", least=2)
@click.option("--command", "typed", metavar="TEXT", help="The command to run per seed.  [default: the evidence's]")
@click.option("--out", type=click.Path(path_type=Path), help="The folder of the runs; unfinished ones are resumed.")
@click.option("--replace", is_flag=True, help="Replace evidence that has more seeds or samples.")
def command(recipe: str, seeds: str, number: int | None, typed: str | None, out: Path | None, replace: bool) -> None:
    """Reproduce the evidence of a recipe.

    Trains the recipe once per seed with the command of its evidence, and measures the last and the best checkpoint of
    each run. Writes the evidence file (mean and spread of each number), the pictures and the page of the recipe. For a
    recipe of your own, they go into the folder evidence/ beside its registry file.
    """
    chosen = _seeds(seeds)
    zoo = Zoo()
    found, registry = _find(zoo, recipe)
    try:
        before = evidence.read(registry, found.name)
    except UsageError:
        if not typed:  # what is damaged is replaced
            raise
        before = {}
    if not replace:
        _check_replaced(before, chosen, number, found.name)
    typed = typed or before.get("command") or f"ganzoo run {shlex.quote(recipe)}"
    changed = _changed(zoo, found, typed)
    evidence.check_writable(registry, found.name)
    import ganzoo
    from ganzoo import pages
    from ganzoo.reproduction import reproduce, save_pictures

    out = out or Path("runs") / found.name / f"reproduce-{datetime.now():%Y%m%d-%H%M%S}"
    runs = f"{len(chosen)} run{'s'[: len(chosen) > 1]} of '{typed}'"
    tables.say(f"{runs}, in {out}. To continue after an interruption, pass --out {out}.")
    measured = reproduce(changed, typed, chosen, out, n=number, zoo=zoo, say=tables.say)
    tables.say()
    print_evidence(measured)
    written = [evidence.write(registry, found.name, measured)]
    written += save_pictures(ganzoo.load(out / f"seed-{chosen[0]}", zoo=zoo), registry)
    written += pages.write_pages(zoo, registry, found.name)
    tables.say(f"\nThe runs are in {out}. Written:")
    for path in written:
        tables.say(f"  {path}")


def print_evidence(measured: Evidence) -> None:
    """Print evidence: the numbers as a table, the rest one line each."""
    for key, value in measured.items():
        if key not in ("last", "best"):
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
            text = ", ".join(map(str, text)) if isinstance(text, list) else text
            tables.say(f"  {key:<11} {text}")
    if last := measured.get("last"):
        best = measured.get("best", {})
        tables.say()
        rows = [[f"  {name}", with_spread(last[name]), with_spread(best.get(name, {}))] for name in last]
        tables.show(["  METRIC", "LAST", "BEST"], rows)


def _seeds(text: str) -> list[int]:
    words = options.names(text)
    seeds = [int(word) for word in words if re.fullmatch("[0-9]{1,30}", word)]
    if not words or len(seeds) < len(words) or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {text[:80]!r} must be different integers, such as 0,1,2.")
    return seeds


def _check_replaced(before: Evidence, seeds: list[int], number: int | None, name: str) -> None:
    """Refuse to replace evidence by less."""
    for what, old, new in (
        ("seeds", len(before.get("seeds", ())), len(seeds)),
        ("samples", before.get("samples", 0), number or 10_000),
    ):
        if new < old:
            raise UsageError(
                f"The evidence of {name!r} has {old} {what}, and this would replace it by {new}. Measure "
                f"{old} or more, or give --replace."
            )


def _find(zoo: Zoo, name: str) -> tuple[Recipe, Path]:
    """Return a recipe and its registry file."""
    if recipes.is_file(name):
        return recipes.read_one(Path(name)), Path(name)
    return zoo.recipe(name), zoo.entry(name).origin


def _changed(zoo: Zoo, recipe: Recipe, typed: str) -> Recipe:
    """Return the recipe as the evidence command trains it."""
    wrong = f"The evidence command of {recipe.name!r} must be 'ganzoo run {recipe.name} ...', not {typed!r}"
    try:
        words = shlex.split(typed)
        if words[:2] != ["ganzoo", "run"]:
            raise UsageError(f"{wrong}.")
        values: dict[str, Any] = run.command.make_context("ganzoo run", words[2:]).params
    except (ValueError, click.ClickException) as error:
        reason = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise UsageError(f"{wrong}: {reason}") from error
    from ganzoo import api

    if zoo.find(values.pop("recipe")).name != recipe.name:
        raise UsageError(f"{wrong}.")
    values.pop("out", None)
    return api.adapt(recipe, **values)
