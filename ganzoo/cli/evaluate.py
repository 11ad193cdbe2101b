"""``ganzoo evaluate``: measure a trained run, or any two sets of samples."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli import options, tables
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.comparison import Request


@click.command("evaluate")
@options.directory
@click.argument("other", metavar="[OTHER]", type=click.Path(path_type=Path), required=False)
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
@click.option(
    "--save-stats",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the features of the samples to a .safetensors file, which may take the place of a folder later.",
)
@options.settings("Options of the dataset or of a metric, such as data.split=test or prdc.nearest=3")
@options.device
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def command(
    directory: Path,
    other: Path | None,
    save_stats: Path | None,
    metrics: str | None,
    number: int | None,
    checkpoint: str,
    device: str,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Measure a trained run, or compare any two sets of samples.

    Samples of the run in DIRECTORY are compared with as many real ones. The same seed gives the same numbers, to the
    last digit. Each is recorded in DIRECTORY/evaluations.jsonl, with everything needed to reproduce it.

    With OTHER, the samples of DIRECTORY are compared with those of OTHER, which take the place of real ones. Each is a
    run directory, a folder of pictures, or a file of --save-stats. Nothing is recorded.
    """
    named = options.names(metrics)
    if other or save_stats:
        from ganzoo.comparison import Request

        how = Request(n=number, metrics=named, checkpoint=checkpoint, device=device, **arguments)
        if other and save_stats:
            raise UsageError("--save-stats is for the samples of one folder or run: leave out OTHER.")
        if other:
            _compare(directory, other, how, as_json)
        elif save_stats:
            _save_stats(directory, save_stats, how)
        return
    if directory.is_dir() and not (directory / "recipe.toml").exists():
        raise UsageError(
            f"{directory} has no recipe.toml, so it is not a run directory. To compare the pictures in it with others: "
            f"ganzoo evaluate {shlex.quote(str(directory))} OTHER"
        )
    import ganzoo

    run = ganzoo.load(directory, checkpoint=checkpoint, device=device)
    records = run.evaluate(named, n=number, **arguments)
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    number = records[0]["n"]
    made = f"step {run.step} ({checkpoint}), {number} generated samples"
    what = f"{number} other real samples" if records[0]["checkpoint"] == "real" else made
    data = records[0]["data"]
    source = ", ".join([data["name"], *(f"{key}={value}" for key, value in data.items() if key != "name")])
    tables.say(f"{directory}: {what} vs. {number} real samples from {source}")
    _show(records)


def _compare(first: Path, second: Path, how: "Request", as_json: bool) -> None:
    from ganzoo import comparison

    results, evaluator, both = comparison.compare(first, second, how)
    rows = [
        {"metric": r.name, "value": r.score.value, "better": r.score.better, "details": dict(r.score.details), **r.how}
        for r in results
    ]
    if as_json:
        head = {"samples": str(first), "reference": str(second)}
        click.echo(json.dumps([{**head, **row} for row in rows], indent=2))
        return
    words = [f"{evaluator.n} of {one.total} {one.name}" for one in both]
    tables.say(f"{words[0]} vs. {words[1]}")
    _show(rows)
    for name, why in evaluator.left_out.items():
        tables.say(f"Not measured: {name} {why}")


def _save_stats(source: Path, out: Path, how: "Request") -> None:
    from ganzoo import comparison

    one, kinds = comparison.save_stats(source, out, how)
    features = "; ".join(f"{name} ({', '.join(of)})" for name, of in kinds.items())
    tables.say(f"Features of {len(one)} of {one.total} {one.name}: {features}. Written to {out}")
    tables.say(f"Compare with them: ganzoo evaluate DIR {shlex.quote(str(out))}")


def _show(rows: list[dict[str, Any]]) -> None:
    tables.show(["METRIC", "VALUE", "BETTER", "SECONDS", "DETAILS"], [_row(row) for row in rows])


def _row(record: dict[str, Any]) -> list[str]:
    details = "; ".join(f"{name} {_short(value)}" for name, value in record["details"].items())
    return [record["metric"], _short(record["value"], 6), record["better"], f"{record['seconds']:.1f}", details]


def _short(value: Any, digits: int = 4) -> str:
    """Return a value without the noise of its last digits; what is smaller than 1e-9 is such noise."""
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{round(value, 9) + 0.0:.{digits}g}" if isinstance(value, float) else str(value)
