"""``ganzoo resume``: go on with a run."""

from pathlib import Path
from typing import Any

import click

from ganzoo.cli.run import goodbye


@click.command("resume")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--epochs", type=int, help="A new, larger goal in passes over the data.")
@click.option("--steps", type=int, help="A new, larger goal in steps.")
@click.option("--device", metavar="auto|cpu|cuda|mps", help="Where to train from now on.")
@click.option("--checkpoint-every", type=int, metavar="N", help="Steps between two checkpoints from now on.")
@click.option("--evaluate-every", type=int, metavar="N", help="Steps between two evaluations from now on.")
@click.option("--on-collapse", metavar="warn|stop|rollback", help="What to do at a fatal alarm.")
def command(directory: Path, **options: Any) -> None:
    """Go on with a run.

    The run in DIRECTORY goes on from its newest whole checkpoint, as if it had never stopped. One that is finished goes
    on when it is given more --epochs or --steps.
    """
    from ganzoo import api

    goodbye(api.resume(directory, **options))
