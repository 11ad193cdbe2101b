"""``ganzoo evaluate``: measure a trained run."""

import json
from pathlib import Path
from typing import Any

import click

from ganzoo.cli import options, tables


@click.command("evaluate")
@options.directory
@click.option(
    "--metrics", metavar="NAME,...", help="Such as fd,kd,prdc or fid.  [default: the dataset's and the model's]"
)
@options.number("Number of generated samples, and of real ones.  [default: 10,000, or as many as there are]")
@options.seed("Seed for the noise and for choosing real samples.")
@options.checkpoint
@click.option("--extractor", metavar="NAME", help="The feature extractor: see 'ganzoo list --kind extractors'.")
@click.option("--weights", type=click.Path(path_type=Path), help="The extractor's weights, instead of a download.")
@click.option("--sha256", metavar="HASH", help="SHA-256 of the weights, if they are not the published ones.")
@click.option(
    "--real",
    is_flag=True,
    help="Compare real samples with other real samples, which shows how good the numbers can get.",
)
@options.settings("Options of the dataset or of a metric, such as data.split=test or prdc.nearest=3")
@options.device
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def command(
    directory: Path,
    metrics: str | None,
    number: int | None,
    checkpoint: str,
    device: str,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Measure a trained run.

    Samples of the run in DIRECTORY are compared with as many real ones. The same seed gives the same numbers, to the
    last digit. Each is recorded in DIRECTORY/evaluations.jsonl, with everything needed to reproduce it.
    """
    import ganzoo

    run = ganzoo.load(directory, checkpoint=checkpoint, device=device)
    records = run.evaluate(options.names(metrics), n=number, **arguments)
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    number = records[0]["n"]
    made = f"step {run.step} ({checkpoint}), {number} generated samples"
    what = f"{number} other real samples" if records[0]["checkpoint"] == "real" else made
    data = records[0]["data"]
    source = ", ".join([data["name"], *(f"{key}={value}" for key, value in data.items() if key != "name")])
    tables.say(f"{directory}: {what} vs. {number} real samples from {source}")
    tables.show(["METRIC", "VALUE", "BETTER", "SECONDS", "DETAILS"], [_row(record) for record in records])


def _row(record: dict[str, Any]) -> list[str]:
    details = "; ".join(f"{name} {_short(value)}" for name, value in record["details"].items())
    return [record["metric"], repr(record["value"]), record["better"], f"{record['seconds']:.1f}", details]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
