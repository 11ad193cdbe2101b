"""``ganzoo show``: all about one recipe, or about one part."""

import inspect
from typing import Any

import click

from ganzoo.cli import reproduce, tables
from ganzoo.errors import GanzooError, UsageError
from ganzoo.plugins import KINDS, Part, Zoo
from ganzoo.registry import Recipe

_OTHER = ("extractors", "commands")  # they have no options


@click.command("show")
@click.argument("name")
def command(name: str) -> None:
    """Show all about a recipe, or about a part.

    Of a recipe: its paper and equation, every setting with default, type and meaning, its evidence, and how to run it.
    NAME is a recipe from 'ganzoo list', a recipe file, or a data set, model, loss, penalty or metric from 'ganzoo list
    --kind'.
    """
    from ganzoo.api import find_recipe

    zoo = Zoo()
    try:
        found = find_recipe(zoo, name)
    except UsageError:
        parts = [part for kind in KINDS if kind not in _OTHER for part in zoo.parts(kind)]
        chosen = [part for part in parts if name in (part.name, f"{part.plugin.name}/{part.name}")]
        if not chosen:
            raise
        for part in chosen:
            _part(part)
        return
    _head(zoo, found)
    click.echo()
    tables.show(["SETTING", "HERE", "DEFAULT", "TYPE", "MEANING"], _settings(zoo, found))
    click.secho("\nEvidence", bold=True)
    if found.evidence:
        reproduce.show(found.evidence)
        click.echo(f"  Get it again: ganzoo reproduce {name}")
    else:
        click.echo("  none yet")
    click.secho("\nHow to run it", bold=True)
    click.echo(f"  ganzoo run {name}")
    click.echo(f"  ganzoo run {name} --epochs 5 --set SETTING=VALUE")


def _part(part: Part) -> None:
    """Print what a part says of itself, and its options."""
    from ganzoo import options

    loaded = part.load()
    click.secho(f"{part.name} ({part.kind}), of the plugin {part.plugin}", bold=True)
    click.echo(inspect.getdoc(loaded) or "")
    rows = [
        [setting.name, "(must be given)" if setting.required else _short(setting.default), setting.type, setting.help]
        for setting in options.settings_of(loaded)
    ]
    if rows:
        click.echo()
        tables.show(["OPTION", "DEFAULT", "TYPE", "MEANING"], rows)


def _head(zoo: Zoo, recipe: Recipe) -> None:
    click.secho(f"{recipe.name}: {recipe.title}" if recipe.title else recipe.name, bold=True)
    for line in (recipe.summary, recipe.equation):
        if line:
            click.echo(f"  {line}")
    if paper := recipe.paper:
        byline = ", ".join(str(paper[key]) for key in ("authors", "title", "year", "url") if key in paper)
        click.echo(f"  Paper: {byline}")
    parts = [("data", "data", recipe.data.name), ("model", "models", recipe.model.name)]
    parts += [("loss", "losses", recipe.loss.name), *(("penalty", "penalties", name) for name in recipe.penalties)]
    for kind, hook, name in parts:
        try:
            click.echo(f"  {kind:<7}  {name}, of the plugin {zoo.part(hook, name).plugin}")
        except UsageError as error:
            click.secho(f"  {kind:<7}  {name}: {error}", fg="red")


def _settings(zoo: Zoo, recipe: Recipe) -> list[list[str]]:
    from ganzoo import options
    from ganzoo.training.experiment import load_class
    from ganzoo.training.players import OPTIMIZERS
    from ganzoo.training.settings import TrainSettings

    rows: list[list[str]] = []

    def add(where: str, part: Any, values: Any) -> None:
        for setting in options.settings_of(part):
            default = "(must be given)" if setting.required else _short(setting.default)
            here = _short(values[setting.name]) if setting.name in values else ""
            rows.append([f"{where}.{setting.name}", here, default, setting.type, setting.help])

    players: list[str] = []
    for kind in ("data", "model", "loss"):
        part = getattr(recipe, kind)
        try:
            loaded = load_class(zoo, kind, part.name)
            add(kind, loaded, part.settings)
            players = list(getattr(loaded, "players", players))
        except GanzooError as error:
            rows.append([f"{kind}.*", "", "", "", str(error)])
    for name, values in recipe.penalties.items():
        try:
            add(f"penalties.{name}", load_class(zoo, "penalty", name), values)
        except GanzooError as error:
            rows.append([f"penalties.{name}.*", "", "", "", str(error)])
    name = str(recipe.optimizer.get("name", "adam"))
    rows.append(["optimizer.name", name, "adam", "|".join(OPTIMIZERS), "Every player's optimiser"])
    add("optimizer", OPTIMIZERS.get(name, OPTIMIZERS["adam"]), recipe.optimizer)
    rows.append(
        ["optimizer.PLAYER.*", "", "", "", f"The same settings for {' or '.join(players) or 'one player'} alone"]
    )
    for player in players:
        for setting, value in recipe.optimizer.get(player, {}).items():
            rows.append([f"optimizer.{player}.{setting}", _short(value), "", "", f"For {player} alone"])
    add("train", TrainSettings, recipe.train)
    return rows


def _short(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value)
