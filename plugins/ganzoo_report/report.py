"""``ganzoo report``: one HTML file about one run or several, which needs nothing but a browser."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import click

from ganzoo import UsageError, __version__


@click.command("report")
@click.argument("directories", metavar="DIRECTORY...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The .html file. [default: DIRECTORY/report.html for one run, ./report.html for several]",
)
@click.option("--checkpoint", metavar="last|best|STEP", default="last", show_default=True, help="Which checkpoint.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the noise and the real samples.")
def command(directories: tuple[Path, ...], out: Path | None, checkpoint: str, seed: int) -> None:
    """Write a page about one run, or several side by side.

    It shows the samples over time, the curves and alarms, interpolations, each sample's nearest training examples, the
    numbers measured, the recipe and the environment, in one file that loads nothing from anywhere.
    """
    given = out
    out = out or (directories[0] if len(directories) == 1 else Path()) / "report.html"
    if checkpoint not in ("last", "best") and not checkpoint.isdecimal():
        raise UsageError(f"--checkpoint is last, best or a step, not {checkpoint!r}.")
    if out.suffix.lower() not in (".html", ".htm") or out.is_dir():
        raise UsageError(f"Cannot write a report to {out}: give an .html file.")
    from ganzoo_report import runs

    found = runs.read(directories)
    if not out.parent.is_dir():
        raise UsageError(f"The folder {out.parent} of {out.name} does not exist.")
    remake = ["ganzoo", "report", *map(str, directories), "--checkpoint", checkpoint, "--seed", str(seed)]
    page = render(found, checkpoint, seed, shlex.join([*remake, "-o", str(out)] if given else remake))
    from ganzoo.training.files import write_atomically

    write_atomically(out, page)
    what = "1 run" if len(found) == 1 else f"{len(found)} runs"
    click.echo(f"A report of {what}, {len(page) / 1e6:.1f} MB: {out}")


def render(found, checkpoint, seed, remake):
    """Return the page as UTF-8.

    Args:
        found: the runs, from ``runs.read``.
        checkpoint, seed: which checkpoint to draw from, with which noise.
        remake: the command that makes the page again.

    Raises:
        UsageError: none of the runs has the checkpoint that was asked for by step, or as the best one.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from ganzoo_report import curves, pictures, runs, samples

    views = samples.look(found, checkpoint, seed)
    figures = curves.figures(found)
    drawn = any([figures, *(view.scatter for view in views)])
    environment = Environment(
        loader=PackageLoader("ganzoo_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html").render(
        runs=found,
        views=views,
        gallery=pictures.gallery(found),
        figures=figures,
        alarms=[(run, alarm) for run in found for alarm in run.alarms],
        numbers=runs.numbers(found),
        summary=runs.summary(found),
        environment=runs.environment(found),
        plotly=Markup(get_plotlyjs()) if drawn else "",
        remake=remake,
        checkpoint=checkpoint,
        seed=seed,
        version=__version__,
        now=datetime.now(UTC).isoformat(" ", timespec="seconds"),
    )
    return text.encode(errors="replace")
