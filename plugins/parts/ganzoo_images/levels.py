"""The levels of gray pictures with more than 8 bits, measured over a set."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ganzoo import UsageError
from ganzoo_images import planes
from ganzoo_images.decode import formats, read
from ganzoo_images.listing import Source
from ganzoo_images.progress import counting, say


def measured(sources: Sequence[Source], root: Path, as_they_are: bool = False) -> tuple[float, float]:
    """Return the least and the greatest level of all gray pictures with more than 8 bits; or of all channels, as they
    are. Values that are not finite, and
    files that cannot be read, do not count.

    Raises:
        UsageError: there are none, or all levels are the same.
    """
    say(f"Measuring the levels of {len(sources):,} pictures of {root}.")
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool, counting(len(sources)) as advance:
        found = []
        for levels in pool.map(partial(_levels, as_they_are=as_they_are), sources):
            advance(1)
            found += levels
    if not found or min(found) == max(found):
        what = "pictures" if as_they_are else "gray pictures"
        raise UsageError(f"data.range = 'measured': {root} has no {what} with more than 8 bits and two levels.")
    low, high = float(min(found)), float(max(found))
    say(f"  Black is {low:g}, white is {high:g}: the same as data.range = [{low:g}, {high:g}]")
    return low, high


def _levels(source: Source, as_they_are: bool) -> list[float]:
    """Return the least and the greatest level of a picture, or nothing."""
    try:
        content = read(source.path)
        if as_they_are:
            values = planes.read(content, formats(), source.page)
            deep = values.dtype != np.uint8
        else:
            with Image.open(io.BytesIO(content), formats=formats()) as image:
                image.seek(source.page)
                deep = image.mode[0] in "IF"
                values = np.asarray(image) if deep else np.empty(0)
    except Exception:  # decode() says what is wrong with it
        return []
    values = values[np.isfinite(values)]
    return [float(values.min()), float(values.max())] if deep and values.size else []
