"""``ganzoo export``: the generator as a file that runs without ganzoo."""

from pathlib import Path

import click

from ganzoo.cli import options


@click.command("export")
@options.directory
@click.option(
    "--format",
    "kind",
    metavar="onnx|torch",
    help="ONNX, or torch's ExportedProgram.  [default: by the name in --out, otherwise onnx]",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The file, .onnx or .pt2.  [default: generator.onnx or generator.pt2 in DIRECTORY]",
)
@options.checkpoint
def command(directory: Path, kind: str | None, out: Path | None, checkpoint: str) -> None:
    """Export the generator of the run in DIRECTORY to a standalone file.

    The file takes the latents by name, for any number of samples, and needs neither ganzoo nor the plugin. It is
    compared with the model before it is put in place.
    """
    import ganzoo
    from ganzoo import export

    export.destination(directory, out, kind)
    run = ganzoo.load(directory, checkpoint=checkpoint)
    made = run.export(out, format=kind)
    size = made.path.stat().st_size / 2**20
    click.echo(f"Step {run.step} of {run.recipe.name}: {made.path} ({size:.1f} MiB)")
    click.echo(f"It differs from the model by at most {made.difference:.1e}. It takes, for n samples:")
    for entry in made.inputs:
        click.echo(f"  {entry}")
    click.echo("and returns sample: float32 " + f"(n, {', '.join(map(str, run.fields[run.model.target].shape))})")
    click.echo("\nUse it like this:")
    for line in made.usage():
        click.echo(f"  {line}")
