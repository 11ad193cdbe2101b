"""A table as a picture: a histogram of each column, and how much the columns have to do with each other.

Blue bars are the samples. A black line on each bar is the share in the table that the samples imitate.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganzoo_tables.associations import associations
from ganzoo_tables.columns import Category, Column, Number, Values, decode, histogram

WIDTH, HEIGHT, MARGIN, ACROSS = 176, 112, 8, 4
SHOWN = 24
"""Columns that are drawn, and categories of a column, at most: the most frequent."""
BLUE, RED, BLACK, GRAY, WHITE = (70, 120, 200), (200, 70, 60), (0, 0, 0), (150, 150, 150), (255, 255, 255)


def draw(rows: Tensor, columns: Sequence[Column]) -> Tensor:
    """Return one picture (1, 3, H, W) in [-1, 1] of rows (n, units)."""
    learned = [(c, v) for c, v in zip(columns, decode(rows, columns), strict=True) if c.units][:SHOWN]
    lines = ceil((len(learned) + 1) / ACROSS)
    across = min(ACROSS, len(learned) + 1)
    picture = Image.new("RGB", (across * WIDTH, lines * HEIGHT), WHITE)
    pen = ImageDraw.Draw(picture)
    places = [(WIDTH * (n % across), HEIGHT * (n // across)) for n in range(len(learned) + 1)]
    for (column, values), place in zip(learned, places, strict=False):
        _bars(pen, place, column, values)
    _matrix(pen, places[-1], associations([c for c, _ in learned], [v for _, v in learned]))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)  # (3, H, W), uint8
    return pixels[None].float() / 127.5 - 1


def _bars(pen: ImageDraw.ImageDraw, place: tuple[int, int], column: Column, values: Values) -> None:
    shares, expected, names = _shares(column, values)
    _title(pen, place, column.name)
    left, top = place[0] + MARGIN, place[1] + 20
    width, height = (WIDTH - 2 * MARGIN) / len(shares), HEIGHT - 38
    most = max(max(expected), 1e-9) * 1.5
    for n, (share, real) in enumerate(zip(shares, expected, strict=True)):
        x, right = left + n * width, left + (n + 1) * width - (1 if width > 3 else 0)
        bottom = top + height
        pen.rectangle((x, bottom - height * min(1.0, share / most), max(x, right - 1), bottom), fill=BLUE)
        y = bottom - height * real / most
        pen.line((x, y, max(x, right - 1), y), fill=BLACK, width=2)
    pen.text((left, top + height + 2), names[0], fill=GRAY, font=_font())
    if len(names) > 1:
        end = pen.textlength(names[1], font=_font())
        pen.text((place[0] + WIDTH - MARGIN - end, top + height + 2), names[1], fill=GRAY, font=_font())


def _shares(column: Column, values: Values) -> tuple[list[float], list[float], list[str]]:
    """Return the shares of bins or categories in the samples and in the table, and what to write below them."""
    if isinstance(column, Category):
        shares = np.bincount(values.astype(np.int64), minlength=column.choices) / max(1, len(values))
        order = np.sort(np.argsort([-share for share in column.shares], kind="stable")[:SHOWN])
        width = 24 if len(order) == 1 else 11
        names = [" ".join(column.categories[n].split())[:width] or "(missing)" for n in order]
        return shares[order].tolist(), [column.shares[n] for n in order], [names[0], names[-1]]
    assert isinstance(column, Number)
    ends = [column.text(end)[:11] for end in column.shown]
    return histogram(values.astype(np.float64), column.shown).tolist(), column.histogram, ends


def _matrix(pen: ImageDraw.ImageDraw, place: tuple[int, int], matrix: Tensor) -> None:
    """Draw the strength of each association: blue, or red if it is negative."""
    _title(pen, place, "associations")
    size = (HEIGHT - 28) / len(matrix)
    left, top = place[0] + MARGIN, place[1] + 20
    for row, values in enumerate(matrix.tolist()):
        for column, value in enumerate(values):
            end = BLUE if value >= 0 else RED
            color = tuple(round(255 + (channel - 255) * min(1.0, abs(value))) for channel in end)
            x, y = left + column * size, top + row * size
            pen.rectangle((x, y, x + size - 1, y + size - 1), fill=color)


def _title(pen: ImageDraw.ImageDraw, place: tuple[int, int], title: str) -> None:
    line = " ".join(title.split())
    shown = line if len(line) <= 26 else line[:25] + "…"
    pen.text((place[0] + MARGIN, place[1] + 4), shown, fill=BLACK, font=_font())


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default()
