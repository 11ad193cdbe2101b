"""``ganzoo film``: the sample grids of a run as an animation."""

from pathlib import Path

import click

from ganzoo import UsageError
from ganzoo.cli import options

_SUFFIXES = (".gif", ".webp")


@click.command("film")
@options.directory
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="GIF or WebP file to write.  [default: DIRECTORY/film.gif]"
)
@click.option("--fps", type=click.IntRange(1, 50), default=10, show_default=True, help="Pictures per second.")
@click.option("--name", default="fake", show_default=True, help="Which pictures: samples/NAME-STEP.png.")
def command(directory: Path, out: Path | None, fps: int, name: str) -> None:
    """Make a film of the sample grids of a run.

    The pictures are those that the run in DIRECTORY saved during training, all from the same noise, each with its step
    below. The last one is shown longer.
    """
    out = out or directory / "film.gif"
    if out.suffix.lower() not in _SUFFIXES or out.is_dir():
        raise UsageError(f"Cannot write a film to {out}: give a {' or '.join(_SUFFIXES)} file.")
    from PIL import features

    from ganzoo.files import write_atomically
    from ganzoo.runs.directory import RunDirectory
    from ganzoo_report.pictures import animate, saved

    run = RunDirectory.open(directory)
    if not out.parent.is_dir():
        raise UsageError(f"The folder {out.parent} of {out.name} does not exist.")
    by_name = saved(run.samples)
    pictures = by_name.get(name, [])
    if len(pictures) < 2:
        usable = ", ".join(other for other, those in by_name.items() if len(those) > 1)
        raise UsageError(
            f"A film needs 2 or more pictures {name}-STEP.png, but {run.samples} has {len(pictures)}. "
            + (f"Available: --name {usable}." if usable else "They are saved during training (train.sample_every).")
        )
    file_format = out.suffix.lower().removeprefix(".")
    if file_format == "webp" and not features.check("webp"):
        raise UsageError("This installation of Pillow does not support WebP. Give a .gif file.")
    write_atomically(out, animate(pictures, file_format, 1000 // fps))
    click.echo(f"{len(pictures)} pictures, from step {pictures[0][0]} to {pictures[-1][0]}: {out}")
