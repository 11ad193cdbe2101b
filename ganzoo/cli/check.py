"""``ganzoo check``: run the conformance checks on a recipe."""

from typing import Any

import click

from ganzoo.cli import options
from ganzoo.console import clean

_COLORS = {"ok": "green", "problem": "red", "skipped": "yellow"}


@click.command("check")
@click.argument("recipe")
@options.settings("Any setting, such as model.width=8 to make the checks faster")
def command(recipe: str, settings: dict[str, Any]) -> int:
    """Check a recipe, and with it the plugins that provide its parts.

    RECIPE is a name from 'ganzoo list', or a recipe file. The checks train a few steps on the CPU and write nothing.
    Each problem comes with a suggestion; the exit code is 1 if there are any. In pytest: ganzoo.testing.check.
    """
    from ganzoo import testing

    problems = 0
    for found in testing.examine(recipe, settings=settings):
        state = click.style(found.state.ljust(7), fg=_COLORS[found.state])
        click.echo(f"  {state}  {found.check.ljust(37)}  {clean(found.text)}".rstrip())
        if found.state == "problem":
            problems += 1
            click.echo(f"           {'':37}  {click.style('do this:', bold=True)} {clean(found.remedy)}")
    click.echo(f"\n{recipe}: {f'{problems} problem(s)' if problems else 'all checks passed'}")
    return 1 if problems else 0
