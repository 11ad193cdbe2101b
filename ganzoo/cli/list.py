"""``ganzoo list``: what is in the zoo."""

import json
from typing import Any

import click

from ganzoo.cli import tables
from ganzoo.errors import UsageError
from ganzoo.parts import PLURALS, Plugin
from ganzoo.recipes import PARTS
from ganzoo.zoo import Entry, Zoo

_NO_PLUGIN = Plugin("-", "-", "-")


@click.command("list")
@click.option(
    "--kind",
    type=click.Choice(["recipes", *PLURALS, "plugins"]),
    default="recipes",
    show_default=True,
    help="What to list.",
)
@click.option("--task", metavar="TEXT", help="Only recipes whose task contains this text, such as image-to-image.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects as JSON.")
def command(kind: str, task: str | None, as_json: bool) -> None:
    """List the zoo: recipes, the parts they are made of, or plugins.

    Broken plugins and recipes are listed with their errors.
    """
    zoo = Zoo()
    rows = _rows(zoo, kind)
    if task is not None:
        rows = _of_task(rows, task)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    shown = [row for row in rows if kind != "plugins" or not row["error"]]  # broken plugins are listed below anyway
    if shown:
        columns = [key for key in shown[0] if key != "error"]
        last = columns[-1]
        table = [[str(row[key]) or "-" for key in columns[:-1]] + [row["error"] or row[last] or "-"] for row in shown]
        tables.show([key.upper() for key in columns], table)
    if zoo.broken:
        tables.say(f"\nBroken ({len(zoo.broken)}):", fg="red", bold=True)
        for problem in zoo.broken:
            tables.say(f"  {problem.plugin}: {problem.error}")


def _rows(zoo: Zoo, kind: str) -> list[dict[str, Any]]:
    """Return what to list. Each row has ``error``: None if nothing is wrong."""
    if kind == "recipes":
        return [_recipe_row(zoo, entry) for entry in zoo.entries()]
    if kind == "plugins":
        working = [{**_origin(plugin), "error": None} for plugin in zoo.plugins]
        return working + [{**_origin(problem.plugin), "error": problem.error} for problem in zoo.broken]
    parts = zoo.parts(PLURALS[kind])
    return [{"name": part.name, "object": part.target, **_origin(part.plugin), "error": None} for part in parts]


def _of_task(rows: list[dict[str, Any]], task: str) -> list[dict[str, Any]]:
    if not rows or "task" not in rows[0]:
        raise UsageError("--task is for recipes: leave out --kind.")
    found = [row for row in rows if task.lower() in row["task"].lower()]
    if not found:
        tasks = sorted({row["task"] for row in rows if row["task"] and not row["error"]})
        raise UsageError(f"No recipe has the task {task!r}. Available: {', '.join(tasks)}.")
    return found


def _recipe_row(zoo: Zoo, entry: Entry) -> dict[str, Any]:
    recipe, origin = entry.recipe, _origin(entry.plugin or _NO_PLUGIN)
    if isinstance(recipe, UsageError):
        names = dict.fromkeys(("task", *PARTS), "broken")
        return {"name": entry.name, **names, **origin, "evidence": "", "error": str(recipe)}
    names = {"task": recipe.task} | {kind: getattr(recipe, kind).name for kind in PARTS}
    result = zoo.evidence(entry).get("result", "")
    return {"name": entry.name, **names, **origin, "evidence": result, "error": None}


def _origin(plugin: Plugin) -> dict[str, Any]:
    return {"plugin": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
