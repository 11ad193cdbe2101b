"""Series as pictures: one plot per series, one curve per feature."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

WIDTH, HEIGHT, MARGIN = 128, 80, 6
COLORS = ((31, 119, 180), (214, 98, 20), (44, 140, 44), (190, 40, 45), (130, 90, 170), (120, 85, 75), (90, 90, 90))
_LINE = (220, 220, 220)


def draw(series: Tensor) -> Tensor:
    """Return a plot of each series (n, T, F) in [-1, 1], float32 (n, 3, HEIGHT, WIDTH)."""
    n, length, features = series.shape
    x = np.linspace(MARGIN, WIDTH - MARGIN - 1, length)
    y = HEIGHT / 2 - series.double().cpu().nan_to_num().clamp(-1, 1).numpy() * (HEIGHT / 2 - MARGIN)
    plots = np.empty((n, HEIGHT, WIDTH, 3), np.uint8)
    for number in range(n):
        picture = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
        pen = ImageDraw.Draw(picture)
        pen.line((MARGIN, HEIGHT / 2, WIDTH - MARGIN, HEIGHT / 2), fill=_LINE)
        for feature in range(features):
            points = list(zip(x.tolist(), y[number, :, feature].tolist(), strict=True))
            pen.line(points, fill=COLORS[feature % len(COLORS)], width=1)
        plots[number] = np.asarray(picture)
    return torch.from_numpy(plots).permute(0, 3, 1, 2).float() / 127.5 - 1
