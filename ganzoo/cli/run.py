"""``ganzoo run``: train a recipe."""

import shlex
from pathlib import Path
from typing import Any

import click

from ganzoo.errors import UsageError


@click.command("run")
@click.argument("recipe")
@click.option("--epochs", type=int, help="Passes over the data.")
@click.option("--steps", type=int, help="Steps in all, instead of epochs.")
@click.option("--batch-size", type=int, help="Examples in a step's batch.")
@click.option("--seed", type=int, help="Where all randomness comes from.")
@click.option("--device", metavar="auto|cpu|cuda|mps", help="Where to train.")
@click.option("--data", metavar="NAME", help="Another data set than the recipe's.")
@click.option("--model", metavar="NAME", help="Another model than the recipe's.")
@click.option("--loss", metavar="NAME", help="Another loss than the recipe's.")
@click.option(
    "--penalty",
    "penalties",
    metavar="NAME",
    multiple=True,
    callback=lambda ctx, option, names: names or None,
    help="A term that joins the loss, instead of the recipe's; repeatable; 'none' for none.",
)
@click.option(
    "--set",
    "assignments",
    metavar="PATH=VALUE",
    multiple=True,
    help="Any setting, as in model.latent_dim=64; repeatable.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Exactly this run directory, not runs/RECIPE/TIME.")
@click.option("--checkpoint-every", type=int, metavar="N", help="Steps between two checkpoints.")
@click.option("--evaluate-every", type=int, metavar="N", help="Steps between two evaluations; the best is kept too.")
@click.option("--on-collapse", metavar="warn|stop|rollback", help="What to do at a fatal alarm.")
def command(recipe: str, assignments: tuple[str, ...], **options: Any) -> None:
    """Train a recipe.

    RECIPE is a name from 'ganzoo list', or a recipe file such as ./recipe.toml. 'ganzoo show RECIPE' lists every
    setting that --set takes.
    """
    settings = dict(assignment(text) for text in assignments)
    from ganzoo import api

    goodbye(api.train(recipe, settings=settings, **options))


def goodbye(run: Any) -> None:
    """Print where everything is, and what to type next."""
    directory = shlex.quote(str(run.directory))
    logs = "runs" if run.directory.parts[:1] == ("runs",) else directory
    click.echo(f"\nDone: step {run.step}, in {run.directory}")
    if (run.directory / "samples").is_dir():
        click.echo(f"  look     {run.directory / 'samples'}")
    click.echo(f"  sample   ganzoo sample {directory} -n 64 --seed 0 -o grid.png")
    click.echo(f"  measure  ganzoo evaluate {directory}")
    click.echo(f"  go on    ganzoo resume {directory} --epochs N")
    click.echo(f"  curves   tensorboard --logdir {logs}")


def assignment(text: str) -> tuple[str, Any]:
    """Return the path and the value of what follows ``--set``.

    Raises:
        UsageError: it has no equals sign.
    """
    from ganzoo.registry import parse_value

    path, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r} must be PATH=VALUE, such as --set model.latent_dim=64.")
    return path.strip(), parse_value(value.strip())
