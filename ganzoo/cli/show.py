"""``ganzoo show``: everything about one recipe or one part."""

import inspect
import shlex
from pathlib import Path
from typing import Any

import click

from ganzoo import evidence
from ganzoo.cli import tables
from ganzoo.cli.reproduce import print_evidence
from ganzoo.errors import GanzooError, UsageError
from ganzoo.parts import KINDS
from ganzoo.recipes import PartChoice, Recipe, is_file, read_one
from ganzoo.zoo import Zoo

_WITHOUT_OPTIONS = ("extractor", "command")


@click.command("show")
@click.argument("name")
@click.option(
    "--source", is_flag=True, help="Print the source code: of a part, or of a recipe's model, loss and penalties."
)
def command(name: str, source: bool) -> None:
    """Show everything about a recipe, or about a part.

    For a recipe: paper and equation, every setting with default, type and meaning, the evidence, and how to run it.
    NAME is a recipe from 'ganzoo list', a recipe file, or a dataset, model, loss, penalty or metric from 'ganzoo list
    --kind'.
    """
    zoo = Zoo()
    if is_file(name):
        recipe, origin = read_one(Path(name)), Path(name)
    else:
        try:
            entry = zoo.entry(name)
        except UsageError:
            _show_parts(zoo, name, source)
            return
        recipe, origin = zoo.recipe(name), entry.origin
    if source:
        _show_source(zoo, recipe, origin)
        return
    _show_head(zoo, recipe)
    tables.say()
    tables.show(["SETTING", "VALUE", "DEFAULT", "TYPE", "MEANING"], _settings(zoo, recipe))
    _show_evidence(name, origin, recipe)
    tables.say("\nHow to run it", bold=True)
    typed = shlex.quote(name)
    tables.say(f"  ganzoo run {typed}")
    tables.say(f"  ganzoo run {typed} --epochs 5 --set SETTING=VALUE")
    tables.say(f"\nIts code: ganzoo show {typed} --source")


def _show_evidence(name: str, origin: Path, recipe: Recipe) -> None:
    tables.say("\nEvidence", bold=True)
    try:
        measured = evidence.read(origin, recipe.name)
    except UsageError as error:
        tables.say(f"  {error}", fg="red")
        return
    if measured:
        print_evidence(measured)
        tables.say(f"  Reproduce it: ganzoo reproduce {shlex.quote(name)}")
    else:
        tables.say("  none yet")


def _show_source(zoo: Zoo, recipe: Recipe, origin: Path) -> None:
    from ganzoo.source import source_of, text_of

    found = source_of(zoo, recipe)
    tables.say(f"# {recipe.name}: the turns of a step", bold=True)
    for line in found.turns:
        tables.say(f"#   {line}")
    for title, code in found.files:
        tables.say(f"\n# --- {title}", bold=True)
        tables.say(code.rstrip())
    tables.say("\n# --- the recipe", bold=True)
    tables.say(text_of(origin, recipe.name))


def _show_parts(zoo: Zoo, name: str, source: bool) -> None:
    """Print what parts of that name say about themselves, and their options.

    Raises:
        UsageError: there is no recipe and no part of that name.
    """
    from ganzoo import options

    kinds = [kind for kind in KINDS if kind not in _WITHOUT_OPTIONS]
    parts = [part for kind in kinds for part in zoo.parts(kind)]
    chosen = [part for part in parts if name in (part.name, f"{part.plugin.name}/{part.name}")]
    if not chosen:
        zoo.entry(name)  # raises the error, with the nearest recipe
    for part in chosen:
        loaded = part.load()
        tables.say(f"{part.name} ({KINDS[part.kind].word}), of the plugin {part.plugin}", bold=True)
        tables.say(inspect.getsource(loaded) if source else inspect.getdoc(loaded) or "")
        rows = [[option.name, _default(option), option.type, option.help] for option in options.options_of(loaded)]
        if rows and not source:
            tables.say()
            tables.show(["OPTION", "DEFAULT", "TYPE", "MEANING"], rows)


def _show_head(zoo: Zoo, recipe: Recipe) -> None:
    tables.say(f"{recipe.name}: {recipe.title}" if recipe.title else recipe.name, bold=True)
    for line in (recipe.summary, recipe.equation):
        if line:
            tables.say(f"  {line}")
    if paper := recipe.paper:
        byline = ", ".join(str(paper[key]) for key in ("authors", "title", "year", "url") if key in paper)
        tables.say(f"  Paper: {byline}")
    for kind, _, choice in recipe.parts():
        try:
            tables.say(f"  {KINDS[kind].word:<7}  {choice.name}, of the plugin {zoo.part(kind, choice.name).plugin}")
        except UsageError as error:
            tables.say(f"  {KINDS[kind].word:<7}  {choice.name}: {error}", fg="red")


def _settings(zoo: Zoo, recipe: Recipe) -> list[list[str]]:
    from ganzoo.training.players import Schedule
    from ganzoo.training.settings import TrainSettings

    rows: list[list[str]] = []
    players: list[str] = []
    optimizer = str(recipe.optimizer.get("name", "adam"))
    parts = [*recipe.parts(), ("optimizer", "optimizer", PartChoice(optimizer, recipe.optimizer))]
    for kind, path, choice in parts:
        if kind == "optimizer":
            names = "|".join(zoo.names("optimizer"))
            rows.append(["optimizer.name", optimizer, "adam", names, "The optimizer of every player"])
        try:
            loaded = zoo.part(kind, choice.name).load()
            rows += _option_rows(path, loaded, choice.options)
            players = list(getattr(loaded, "players", players))
        except GanzooError as error:
            rows.append([f"{path}.*", "", "", "", str(error)])
    rows += _option_rows("optimizer", Schedule, recipe.optimizer)
    rows.append(
        ["optimizer.PLAYER.*", "", "", "", f"The same settings for {' or '.join(players) or 'one player'} only"]
    )
    for player in players:
        for setting, value in recipe.optimizer.get(player, {}).items():
            rows.append([f"optimizer.{player}.{setting}", _text(value), "", "", f"For {player} only"])
    return rows + _option_rows("train", TrainSettings, recipe.train)


def _option_rows(where: str, part: Any, values: Any) -> list[list[str]]:
    from ganzoo import options

    return [
        [
            f"{where}.{option.name}",
            _text(values[option.name]) if option.name in values else "",
            _default(option),
            option.type,
            option.help,
        ]
        for option in options.options_of(part)
    ]


def _default(option: Any) -> str:
    return "(required)" if option.required else _text(option.default)


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value)
