"""``ganzoo evaluate``: numbers for a trained run."""

import json
from pathlib import Path
from typing import Any

import click

from ganzoo.cli import tables
from ganzoo.cli.run import assignment


@click.command("evaluate")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--metrics", metavar="NAME,...", help="Such as fd,kid,prdc or fid; the data set's own unless given.")
@click.option(
    "-n", "--number", type=click.IntRange(1), default=10_000, show_default=True, help="Samples on either side."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the noise and the real samples.")
@click.option("--checkpoint", metavar="last|best|STEP", default="last", show_default=True, help="Which checkpoint.")
@click.option("--extractor", metavar="NAME", help="Whose features: see 'ganzoo list --kind extractors'.")
@click.option("--weights", type=click.Path(path_type=Path), help="The extractor's weights, instead of a download.")
@click.option("--sha256", metavar="HASH", help="What the weights' SHA-256 must be, if not the published one.")
@click.option("--real", is_flag=True, help="Measure other real samples instead: how good the numbers can get.")
@click.option(
    "--set",
    "assignments",
    metavar="PATH=VALUE",
    multiple=True,
    help="Of the real data or a metric, as in data.split=test or prdc.nearest=3; repeatable.",
)
@click.option("--device", metavar="auto|cpu|cuda|mps", default="auto", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print the cards, for programs.")
def command(
    directory: Path,
    metrics: str | None,
    number: int,
    checkpoint: str,
    device: str,
    assignments: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a trained run.

    Samples of the run in DIRECTORY are compared with as many real ones. The same seed gives the same numbers, to the
    last digit; each is kept, with all it takes to get it again, in DIRECTORY/evaluations.jsonl.
    """
    settings = dict(assignment(text) for text in assignments)
    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    from ganzoo import trained

    run = trained.load(directory, checkpoint=checkpoint, device=device)
    cards = run.evaluate(names, n=number, settings=settings, **options)
    if as_json:
        click.echo(json.dumps(cards, indent=2))
        return
    what = "other real samples" if cards[0]["checkpoint"] == "real" else f"step {run.step} ({checkpoint})"
    source = ", ".join([cards[0]["data"]["name"], *(f"{k}={v}" for k, v in cards[0]["data"].items() if k != "name")])
    click.echo(f"{directory}: {what}, {number} samples against as many of {source}")
    tables.show(["METRIC", "VALUE", "BETTER", "SECONDS", "DETAILS"], [_row(card) for card in cards])


def _row(card: dict[str, Any]) -> list[str]:
    details = "; ".join(f"{name} {_short(value)}" for name, value in card["details"].items())
    return [card["metric"], repr(card["value"]), card["better"], f"{card['seconds']:.1f}", details]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
