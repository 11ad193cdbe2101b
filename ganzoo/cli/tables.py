"""Plain tables for the terminal. Columns are as wide as they need to be; the last one is wrapped."""

import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

import click

from ganzoo.console import clean


def say(text: Any = "", **style: Any) -> None:
    """Print text that may come from strangers: recipes, evidence, what plugins say about themselves."""
    click.secho(clean(str(text)), **style)


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; ``head`` names the columns. Its texts may come from strangers."""
    rows = [[clean(" ".join(cell.split("\n"))) for cell in row] for row in rows]
    widths = [max(len(cells[i]) for cells in (head, *rows)) for i in range(len(head))]
    left = sum(widths[:-1]) + 2 * (len(head) - 1)
    room = max(24, shutil.get_terminal_size((120, 24)).columns - left)
    for number, row in enumerate((head, *rows)):
        lines = textwrap.wrap(row[-1], room) or [""]
        start = "".join(cell.ljust(width + 2) for cell, width in zip(row[:-1], widths[:-1], strict=True))
        click.secho((start + lines[0]).rstrip(), bold=number == 0)
        for line in lines[1:]:
            click.echo(" " * left + line)
