"""``ganzoo list``: what is in the zoo."""

import json
from typing import Any

import click

from ganzoo.cli import tables
from ganzoo.errors import UsageError
from ganzoo.plugins import KINDS, Entry, Plugin, Zoo

_NOBODY = Plugin("-", "-", "-")


@click.command("list")
@click.option("--kind", type=click.Choice(["recipes", *KINDS, "plugins"]), default="recipes", help="What to list.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, for programs.")
def command(kind: str, as_json: bool) -> None:
    """List the zoo: recipes, the parts they are made of, or plugins.

    What is broken is listed too, with its error.
    """
    zoo = Zoo()
    rows = _rows(zoo, kind)
    if as_json:
        broken = [
            {"plugin": b.plugin.name, "distribution": b.plugin.distribution, "error": b.error} for b in zoo.broken
        ]
        click.echo(json.dumps(rows + (broken if kind == "plugins" else []), indent=2))
    elif rows:
        tables.show([key.upper() for key in rows[0]], [[str(v) or "-" for v in row.values()] for row in rows])
    if zoo.broken and not as_json:
        click.secho(f"\nBroken ({len(zoo.broken)}):", fg="red", bold=True)
        for problem in zoo.broken:
            click.echo(f"  {problem.plugin}: {problem.error}")


def _rows(zoo: Zoo, kind: str) -> list[dict[str, Any]]:
    if kind == "recipes":
        return [_entry(entry) for entry in zoo.entries()]
    if kind == "plugins":
        return [_origin(plugin) for plugin in zoo.plugins]
    return [{"name": part.name, "object": part.target, **_origin(part.plugin)} for part in zoo.parts(kind)]


def _entry(entry: Entry) -> dict[str, Any]:
    recipe = entry.recipe
    if isinstance(recipe, UsageError):
        row = dict.fromkeys(("task", "data", "model", "loss"), "broken") | {"evidence": str(recipe)}
    else:
        row = {
            "task": recipe.task,
            "data": recipe.data.name,
            "model": recipe.model.name,
            "loss": recipe.loss.name,
            "evidence": recipe.evidence.get("result", ""),
        }
    evidence = row.pop("evidence")
    return {"name": entry.name, **row, **_origin(entry.plugin or _NOBODY), "evidence": evidence}


def _origin(plugin: Plugin) -> dict[str, Any]:
    return {"plugin": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
