"""``ganzoo run``: train a recipe."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli import options
from ganzoo.zoo import Zoo

if TYPE_CHECKING:
    from ganzoo import Run


@click.command("run")
@click.argument("recipe")
@options.training()
@options.settings("Any setting, such as model.latent_dim=64")
@click.option(
    "--init",
    metavar="DIR|FILE",
    type=click.Path(path_type=Path),
    help="Start from the weights of another run, or of a .safetensors file, as far as they fit.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The run directory.  [default: runs/RECIPE/TIME]")
def command(recipe: str, **arguments: Any) -> None:
    """Train a recipe.

    RECIPE is a name from 'ganzoo list', or a recipe file such as ./recipe.toml. 'ganzoo show RECIPE' lists every
    setting that --set accepts.
    """
    zoo = Zoo()
    chosen = zoo.find(recipe)  # before torch is imported: a mistyped name is answered at once

    from ganzoo import api

    print_next_steps(api.train(chosen, zoo=zoo, **arguments))


def print_next_steps(run: "Run") -> None:
    """Print where everything is, and what to type next."""
    directory = shlex.quote(str(run.directory))
    logs = "runs" if run.directory.parts[:1] == ("runs",) else directory
    click.echo(f"\nDone: step {run.step}, in {run.directory}")
    if (run.directory / "samples").is_dir():
        click.echo(f"  look at   {run.directory / 'samples'}")
    file = f"samples{formats[0]}" if (formats := run.dataset_class.formats) else "grid.png"
    click.echo(f"  sample    ganzoo sample {directory} -n 64 --seed 0 -o {file}")
    click.echo(f"  measure   ganzoo evaluate {directory}")
    click.echo(f"  continue  ganzoo resume {directory} --epochs N")
    click.echo(f"  curves    tensorboard --logdir {logs}")
