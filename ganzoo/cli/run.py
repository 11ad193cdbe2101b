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
    if len(zoo.candidates(recipe)) == 1 or not arguments["data"]:
        zoo.find(recipe)  # before torch is imported: a mistyped name is answered at once

    from ganzoo import api

    print_next_steps(api.train(recipe, zoo=zoo, **arguments))


def print_next_steps(run: "Run") -> None:
    """Print where everything is, and what to type next."""
    directory = shlex.quote(str(run.directory))
    logs = "runs" if run.directory.parts[:1] == ("runs",) else directory
    click.echo(f"\nDone: step {run.step}, in {run.directory}")
    drawn = (run.directory / "samples").is_dir()
    if drawn:
        click.echo(f"  look at   {run.directory / 'samples'}")
    plain = "grid.png" if drawn else "samples.npz"
    out = f"samples{formats[0]}" if (formats := run.dataset_class.formats) else plain
    fields = run.model.condition_fields
    chosen = " ".join(f"--input {name}=PICTURE" for name in fields) if fields else "-n 64 --seed 0"
    click.echo(f"  sample    ganzoo sample {directory} {chosen} -o {out}")
    click.echo(f"  measure   ganzoo evaluate {directory}")
    click.echo(f"  continue  ganzoo resume {directory} --epochs N")
    click.echo(f"  curves    tensorboard --logdir {logs}")
