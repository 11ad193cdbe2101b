"""``ganzoo report``: one or several runs in one HTML file, which needs nothing but a browser."""

import base64
import gzip
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo import UsageError, __version__
from ganzoo.cli import options

if TYPE_CHECKING:
    from ganzoo_report.runs import ReportedRun


@click.command("report")
@click.argument("directories", metavar="DIRECTORY...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="HTML file to write.  [default: DIRECTORY/report.html for one run, ./report.html for several]",
)
@options.checkpoint
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed for the noise and the real samples."
)
def command(directories: tuple[Path, ...], out: Path | None, checkpoint: str, seed: int) -> None:
    """Write a page about one run, or one that compares several.

    It shows the samples over time, the curves and alarms, interpolations, the nearest training examples of some
    samples, the evaluations, the recipe and the environment. The page is one file that loads nothing from elsewhere.
    """
    path = out or (directories[0] if len(directories) == 1 else Path()) / "report.html"
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise UsageError(f"Cannot write a report to {path}: give an .html file.")
    from ganzoo.files import write_atomically
    from ganzoo_report.runs import read_runs

    runs = read_runs(directories)
    if not path.parent.is_dir():
        raise UsageError(f"The folder {path.parent} of {path.name} does not exist.")
    words = ["ganzoo", "report", *map(str, directories), "--checkpoint", checkpoint, "--seed", str(seed)]
    page = render(runs, checkpoint, seed, shlex.join([*words, "-o", str(out)] if out else words))
    write_atomically(path, page)
    what = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    click.echo(f"Report of {what}, {len(page) / 1e6:.1f} MB: {path}")


def packed(text: str) -> str:
    """Return text as base64 of gzip, which browsers unpack: plotly becomes 2 MB instead of 5."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def render(runs: "Sequence[ReportedRun]", checkpoint: str, seed: int, typed: str) -> bytes:
    """Return the page as UTF-8.

    Args:
        runs: what to report.
        checkpoint, seed: which checkpoint to draw from, with which noise.
        typed: the command that makes the page.

    Raises:
        UsageError: ``checkpoint`` is not "last", and no run has it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from ganzoo_report.curves import figures
    from ganzoo_report.pictures import gallery
    from ganzoo_report.runs import comparison, environment, evaluations, summary
    from ganzoo_report.samples import scatters, views

    # Runs that differ in their seed only make similar pictures: the first of them is shown.
    shown = list({run.setting: run for run in reversed(runs)}.values())[::-1]
    seen, curves = views(shown, checkpoint, seed), figures(runs)
    clouds = scatters(shown, seen)
    templates = Environment(
        loader=PackageLoader("ganzoo_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = templates.get_template("report.html").render(
        runs=runs,
        shown=shown,
        views=seen,
        scatters=clouds,
        comparison=comparison(runs),
        gallery=gallery(shown),
        figures=curves,
        alarms=[(run, alarm) for run in runs for alarm in run.alarms],
        evaluations=evaluations(runs),
        summary=summary(runs),
        environment=environment(runs),
        plotly=Markup(packed(get_plotlyjs())) if curves or clouds else "",
        typed=typed,
        checkpoint=checkpoint,
        seed=seed,
        version=__version__,
        now=datetime.now(UTC).isoformat(" ", timespec="seconds"),
    )
    return text.encode(errors="replace")
