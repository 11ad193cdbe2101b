"""``ganzoo check``: whether a recipe does all that the others do."""

import click

from ganzoo.cli.run import assignment

_COLOURS = {"ok": "green", "problem": "red", "skipped": "yellow"}


@click.command("check")
@click.argument("recipe")
@click.option(
    "--set",
    "assignments",
    metavar="PATH=VALUE",
    multiple=True,
    help="Any setting, such as model.width=8 to be quicker; repeatable.",
)
def command(recipe: str, assignments: tuple[str, ...]) -> int:
    """Check a recipe, and with it the plugins that bring its parts.

    RECIPE is a name from 'ganzoo list', or a recipe file. A few steps are played on the CPU; nothing is written. Each
    problem comes with what to do about it, and the exit code is 1 if there is any. In pytest: ganzoo.testing.check.
    """
    settings = dict(assignment(text) for text in assignments)
    from ganzoo import testing

    problems = 0
    for found in testing.examine(recipe, settings=settings):
        state = click.style(found.state.ljust(7), fg=_COLOURS[found.state])
        click.echo(f"  {state}  {found.check.ljust(33)}  {found.text}".rstrip())
        if found.state == "problem":
            problems += 1
            click.echo(f"           {'':33}  {click.style('do this:', bold=True)} {found.remedy}")
    click.echo(f"\n{recipe}: {f'{problems} problem(s)' if problems else 'everything holds'}")
    return 1 if problems else 0
