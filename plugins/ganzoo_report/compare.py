"""``ganzoo compare``: several runs in one table."""

import json
import shutil
from collections import Counter
from pathlib import Path

import click

from ganzoo.cli import tables

_SAME = ("checkpoint", "n", "seed", "settings", "extractor_sha256", "data_sha256")
_WORDS = {
    "checkpoint": "checkpoints",
    "seed": "seeds",
    "settings": "options",
    "extractor_sha256": "the extractor's weights",
    "data_sha256": "the real samples",
}


@click.command("compare")
@click.argument("directories", metavar="DIRECTORY...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def command(directories: tuple[Path, ...], as_json: bool) -> None:
    """Put runs side by side: what differs in their recipes, and their numbers.

    The numbers are those that 'ganzoo evaluate' and the training itself left in each run. Where a metric was measured
    in several ways, the way that most runs share is shown.
    """
    from ganzoo_report import runs

    found = runs.read(directories)
    settings = differing([settings_of(run.recipe) for run in found])
    metrics = dict.fromkeys(card["metric"] for run in found for card in _own(run.cards))
    chosen = {metric: choose([run.cards for run in found], metric) for metric in metrics}
    complaints = mismatches(chosen)
    if as_json:
        rows = [
            {
                "directory": run.name,
                "recipe": run.recipe.name,
                "step": run.record.get("step"),
                "seconds": run.record.get("seconds"),
                "settings": settings[number],
                "metrics": {metric: cards[number] for metric, cards in chosen.items()},
            }
            for number, run in enumerate(found)
        ]
        click.echo(json.dumps({"runs": rows, "not_comparable": complaints}, indent=2))
        return

    table = [["DIRECTORY", "RECIPE", "STEP", *settings[0], "SECONDS", *metrics]]
    for number, run in enumerate(found):
        values = [cards[number] and cards[number]["value"] for cards in chosen.values()]
        start = [run.name, run.recipe.name, run.record.get("step"), *settings[number].values()]
        table.append([_short(value) for value in (*start, run.record.get("seconds"), *values)])
    sideways = [list(row) for row in zip(*table, strict=True)]
    if _width(table) > shutil.get_terminal_size((120, 24)).columns and _width(sideways) < _width(table):
        table = sideways  # a column a run
    tables.show(table[0], table[1:])
    click.echo()
    for line in (*_directions(chosen), *complaints, *_older(found, chosen)):
        click.echo(line)
    for run in found:
        if not _own(run.cards):
            click.echo(f"{run.name} has no numbers yet: ganzoo evaluate {run.name}")


def settings_of(recipe):
    """Return all settings of a recipe by path: ``{"model": "fc", "model.latent_dim": 126, ...}``."""
    flat = {}

    def add(path, value):
        if isinstance(value, dict):
            for name, inner in value.items():
                add(f"{path}.{name}", inner)
        else:
            flat[path] = value

    for kind in ("data", "model", "loss"):
        part = getattr(recipe, kind)
        flat[kind] = part.name
        add(kind, dict(part.settings))
    add("optimizer", dict(recipe.optimizer))
    add("train", dict(recipe.train))
    return flat


def differing(settings):
    """Return, for each run, the settings that are not the same in all; None where a run has no such setting."""
    names = dict.fromkeys(name for one in settings for name in one)
    kept = [name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)]
    return [{name: one.get(name) for name in kept} for one in settings]


def choose(cards, metric):
    """Return the card of each run to show for a metric, None where it has none: the newest of the checkpoint kind, n
    and options that most runs share, or else its newest."""
    of_runs = [[card for card in _own(own) if card["metric"] == metric] for own in cards]
    counts = Counter(way for own in of_runs for way in dict.fromkeys(map(_way, reversed(own))))
    common = max(counts, key=counts.__getitem__)
    return [_newest([card for card in own if _way(card) == common]) or _newest(own) for own in of_runs]


def mismatches(chosen):
    """Return a sentence for each way in which cards (metric -> a card or None for each run) were not measured alike."""
    reasons = {}
    for metric, cards in chosen.items():
        known = [card for card in cards if card]
        differ = [_WORDS.get(key, key) for key in _SAME if len({str(_kind(card, key)) for card in known}) > 1]
        if differ:
            reasons.setdefault(", ".join(differ), []).append(metric)
    return [f"not comparable: {', '.join(metrics)}; measured with different {why}" for why, metrics in reasons.items()]


def _width(table):
    return sum(max(map(len, column)) + 2 for column in zip(*table, strict=True)) - 2


def _own(cards):
    """Return the cards that are about the run, not about real samples in place of its own."""
    return [card for card in cards if card.get("checkpoint") != "real"]


def _way(card):
    return _kind(card, "checkpoint"), card.get("n"), json.dumps(card.get("settings"), sort_keys=True)


def _kind(card, key):
    """Return what a card says; of a checkpoint asked for by its step, that it was."""
    value = card.get(key)
    return "step" if key == "checkpoint" and str(value).isdecimal() else value


def _newest(cards):
    return cards[-1] if cards else None


def _directions(chosen):
    for better in ("lower", "higher"):
        names = [m for m, cards in chosen.items() if any(card and card.get("better") == better for card in cards)]
        if names:
            yield f"{better} is better: {', '.join(names)}"


def _older(found, chosen):
    """Say which numbers are of an earlier step than the run has reached."""
    for number, run in enumerate(found):
        step = run.record.get("step")
        shown = [(metric, cards[number]) for metric, cards in chosen.items() if cards[number]]
        for earlier in sorted({card["step"] for _, card in shown if isinstance(card.get("step"), int)} - {step}):
            names = ", ".join(metric for metric, card in shown if card.get("step") == earlier)
            yield f"{run.name}: {names} measured at step {earlier}; the run is at step {step}"


def _short(value):
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
