"""``ganzoo bench``: where the time of a training goes."""

import json
from pathlib import Path
from typing import Any

import click

from ganzoo.cli import options, tables
from ganzoo.errors import UsageError
from ganzoo.zoo import Zoo


@click.command("bench")
@click.argument("recipe")
@options.training("batch_size", "device", "model", "loss", "penalties", "augmentations", "precision", "compile")
@options.settings("Any setting, such as model.latent_dim=64")
@click.option("--seconds", type=click.FloatRange(1), default=10, show_default=True, help="How long to measure.")
@click.option("--against", type=click.Path(path_type=Path), metavar="FILE", help="Compare with what --json printed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(recipe: str, seconds: float, against: Path | None, as_json: bool, **arguments: Any) -> None:
    """Measure how fast a recipe trains on this machine.

    Trains it for some seconds, says where the time goes and what bounds it. Nothing is written.
    """
    zoo = Zoo()
    found = zoo.find(recipe)
    before = _read(against, found.name) if against else None
    from ganzoo import api, benchmark

    measured = benchmark.bench(zoo, api.adapt(found, evaluate_every=0, **arguments), seconds)
    if as_json:
        click.echo(json.dumps(measured, indent=2))
        return
    _show(measured, before)
    for sentence in benchmark.advice(measured):
        tables.say(sentence)


def _read(path: Path, name: str) -> dict[str, Any]:
    """Return what was measured earlier.

    Raises:
        UsageError: the file is missing, or holds something else, or another recipe.
    """
    try:
        before = json.loads(path.read_bytes())
        recipe, _ = before["recipe"], before["steps_per_second"]["median"] + sum(before["parts"].values())
    except OSError as error:
        raise UsageError(f"--against: cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"--against: {path} is not what 'ganzoo bench RECIPE --json' prints.") from error
    if recipe != name:
        raise UsageError(f"--against: {path} has the numbers of {recipe!r}, not of {name!r}.")
    return dict(before)


def _show(found: dict[str, Any], before: dict[str, Any] | None) -> None:
    threads = f"{found['threads']} thread{'s'[: found['threads'] > 1]}"
    how = f"{found['precision']}{', compiled' if found['compile'] == 'on' else ''}"
    tables.say(f"{found['recipe']} on {found['device']}, {threads}, batches of {found['batch_size']}, {how}")
    speed, flop = found["steps_per_second"], found["flop"]
    times = speed["median"] / before["steps_per_second"]["median"] if before else 0.0
    compared = f", {times:.2f} times as many as before" if before else ""
    spread = f"({speed['least']:.1f} to {speed['greatest']:.1f})"
    tables.say(f"{speed['median']:.1f} steps per second {spread}{compared}")
    tables.say(f"{found['examples_per_second']:,.0f} examples per second")
    tables.say(f"{found['first_step'] / 1000:.1f} s to build everything and take the first step")
    tables.say(f"{found['peak_memory'] / 2**20:,.0f} MiB at most\n")
    total, rows = sum(found["parts"].values()), []
    for name, cost in found["parts"].items():
        earlier = before["parts"].get(name) if before else None
        rows.append([name, f"{cost:.2f}", f"{cost / total:.0%}", f"{cost / earlier:.2f}" if earlier else ""])
    tables.show(["A STEP", "MS", "SHARE", "TIMES THAT BEFORE" if before else ""], rows)
    tables.say()
    rows = [
        [name, f"{one['cost']:.1f}", f"{one['every']:,.0f}", f"{one['cost'] / one['every'] / total:.1%}"]
        for name, one in found["between"].items()
    ]
    tables.show(["BETWEEN STEPS", "MS", "STEPS APART", "OF THE STEPS' TIME"], rows)
    tables.say(
        f"\nA step is {flop / 1e6:,.0f} MFLOP. This device: {found['peak_flop_per_second'] / 1e9:,.0f} GFLOP per "
        f"second in matrix products, {found['peak_bytes_per_second'] / 1e9:.1f} GB per second in copies."
    )
