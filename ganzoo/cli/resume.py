"""``ganzoo resume``: continue a run."""

from pathlib import Path
from typing import Any

import click

from ganzoo.cli import options
from ganzoo.cli.run import print_next_steps


@click.command("resume")
@options.directory
@options.training(
    "epochs",
    "steps",
    "device",
    "accumulate",
    "precision",
    "compile",
    "checkpoint_every",
    "evaluate_every",
    "on_collapse",
)
@options.settings("A setting that may change in a run, such as optimizer.lr=1e-4 or data.path=FOLDER")
@click.option("--accept-new-data", is_flag=True, help="Continue although the dataset has other examples than before.")
def command(directory: Path, **arguments: Any) -> None:
    """Resume a run.

    The run in DIRECTORY continues from its newest valid checkpoint, as if it had never stopped. To continue a finished
    run, give more --epochs or --steps.

    --set can change learning rates, schedules, clipping, lengths, intervals, and where the data are. Each change is
    recorded in run.json, with its step. For any other change, start a new run: ganzoo run RECIPE --init DIR.
    """
    from ganzoo import api

    print_next_steps(api.resume(directory, **arguments))
