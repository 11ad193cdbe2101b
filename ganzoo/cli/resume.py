"""``ganzoo resume``: continue a run."""

from pathlib import Path
from typing import Any

import click

from ganzoo.cli import options
from ganzoo.cli.run import print_next_steps


@click.command("resume")
@options.directory
@options.training("epochs", "steps", "device", "checkpoint_every", "evaluate_every", "on_collapse")
def command(directory: Path, **arguments: Any) -> None:
    """Resume a run.

    The run in DIRECTORY continues from its newest valid checkpoint, as if it had never stopped. To continue a finished
    run, give more --epochs or --steps.
    """
    from ganzoo import api

    print_next_steps(api.resume(directory, **arguments))
