"""The sample grids of runs: found, put into a page as data URIs for its slider, and made into an animation."""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, features

from ganzoo import PartChoice, UsageError
from ganzoo_report.runs import ReportedRun, thin

MAX_PICTURES = 60
"""Pictures per name; a few more are possible, so that the first and last of each run are among them."""
MAX_WIDTH = 1040  # pixels; wider pictures are shrunk
_MAX_BYTES = 1_200_000  # of the sample grids of a run, approximately
_LARGE = 20_000  # bytes; larger pictures are saved as WebP, at a quality that hides nothing one could see
_QUALITY = 88
_LAST = 1500  # milliseconds for which a film shows its last picture
_NAME = re.compile(r"(.+)-([0-9]{8,})\.png")
_UNREADABLE = (OSError, ValueError, SyntaxError)  # what Pillow raises for a damaged file

Pictures = list[tuple[int, Path]]
"""The step and the path of each, in order."""


@dataclass(frozen=True)
class Frame:
    """One picture: its step, its content as a data URI, and its width in pixels of the page."""

    step: int
    uri: str
    width: int


@dataclass(frozen=True)
class Gallery:
    """All pictures of a report.

    Attributes:
        steps: the positions of the slider.
        strips: per run, name -> frames. The newest frame at or before the slider's step is shown.
        notes: what is missing and why.
    """

    steps: list[int]
    strips: list[dict[str, list[Frame]]]
    notes: list[str]


def saved(folder: Path) -> dict[str, Pictures]:
    """Return the pictures of a samples folder by name: ``fake`` first, ``real`` last."""
    found: dict[str, Pictures] = {}
    for path in sorted(folder.glob("*.png")):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append((int(match[2]), path))
    order = sorted(found, key=lambda name: (name == "real", name != "fake", name))
    return {name: sorted(found[name]) for name in order}


def gallery(runs: Sequence[ReportedRun]) -> Gallery:
    """Read the pictures of all runs. If there are many, only some are shown."""
    folders = [saved(run.directory.samples) for run in runs]
    moving = [[step for those in folder.values() if len(those) > 1 for step, _ in those] for folder in folders]
    union = sorted({step for steps in moving for step in steps})
    last = [[_frame(*those[-1]) for those in folder.values() if len(those) > 1] for folder in folders]
    largest = max((sum(len(frame.uri) for frame in frames if frame) for frames in last), default=0)
    limit = max(2, min(MAX_PICTURES, _MAX_BYTES // max(1, largest)))
    stops = sorted({*thin(union, limit), *(step for steps in moving if steps for step in (min(steps), max(steps)))})
    strips: list[dict[str, list[Frame]]] = []
    unreadable = 0
    shown: list[PartChoice] = []  # datasets whose real samples are on the page already
    for run, folder in zip(runs, folders, strict=True):
        strips.append({})
        if run.recipe.data in shown:
            folder.pop("real", None)
        shown.append(run.recipe.data)
        for name, those in folder.items():
            chosen = _shown(those, stops) if len(those) > 1 else those
            frames = [_frame(step, path) for step, path in chosen]
            unreadable += frames.count(None)
            strips[-1][name] = [frame for frame in frames if frame]
    notes = []
    if len(stops) < len(union):
        notes.append(f"{len(stops)} of {len(union)} steps are shown, evenly spaced, including the first and the last.")
    if unreadable:
        notes.append(f"Left out because they cannot be read: {unreadable} picture{'s' if unreadable > 1 else ''}.")
    return Gallery(stops, strips, notes)


def uri(picture: Image.Image, max_width: int = MAX_WIDTH) -> str:
    """Return a picture as a data URI, shrunk to ``max_width`` pixels if it is wider."""
    return _encode(picture, max_width)[0]


def animate(pictures: Pictures, file_format: str, milliseconds: int) -> bytes:
    """Return an animation of pictures, each with its step below.

    Args:
        pictures: two or more.
        file_format: "gif" or "webp".
        milliseconds: how long each picture is shown, except the last.

    Raises:
        UsageError: a picture cannot be read.
    """
    font = ImageFont.load_default()
    _, _, text_width, text_height = font.getbbox(f"step {pictures[-1][0]}")
    sizes = []
    for _, path in pictures:
        with _opened(path) as picture:
            sizes.append(picture.size)
    width, height = max(int(text_width) + 16, *(size[0] for size in sizes)), max(size[1] for size in sizes)

    def frame(step: int, path: Path) -> Image.Image:
        canvas = Image.new("RGB", (width, height + int(text_height) + 8), "white")
        with _opened(path) as picture:
            canvas.paste(picture.convert("RGB"), ((width - picture.width) // 2, 0))
        text = f"step {step}"
        ImageDraw.Draw(canvas).text(((width - font.getbbox(text)[2]) // 2, height + 3), text, "black", font)
        return canvas

    frames = (frame(step, path) for step, path in pictures)
    buffer = io.BytesIO()
    next(frames).save(
        buffer,
        format=file_format,
        save_all=True,
        append_images=frames,
        duration=[milliseconds] * (len(pictures) - 1) + [max(milliseconds, _LAST)],
        loop=0,
        lossless=True,  # for WebP; GIF has 256 colors
    )
    return buffer.getvalue()


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except _UNREADABLE as error:
        raise UsageError(f"{path} is not a valid picture: {error}. Remove it and make the film again.") from error


def _shown(pictures: Pictures, stops: Iterable[int]) -> Pictures:
    """Return the pictures that are the newest at one of the stops."""
    newest = {max((p for p in pictures if p[0] <= stop), default=pictures[0]) for stop in stops}
    return sorted(newest)


def _frame(step: int, path: Path) -> Frame | None:
    try:
        with Image.open(path) as picture:
            picture.load()
            return Frame(step, *_encode(picture, MAX_WIDTH, path.read_bytes()))
    except _UNREADABLE:
        return None


def _encode(picture: Image.Image, max_width: int, content: bytes | None = None) -> tuple[str, int]:
    """Return the data URI and the width to show it at: small pictures are enlarged by an integer, to stay sharp.
    ``content`` is the file of the picture, if there is one; it is used unless the picture must be shrunk."""
    if picture.width > max_width or content is None:
        if picture.width > max_width:
            picture = picture.resize((max_width, max(1, picture.height * max_width // picture.width)))
        content = _saved(picture, "PNG", optimize=True)
    kind = "png"
    if len(content) > _LARGE and features.check("webp"):
        smaller = _saved(picture.convert("RGB"), "WEBP", quality=_QUALITY, method=4)
        kind, content = ("webp", smaller) if len(smaller) < len(content) else (kind, content)
    scale = max(1, 500 // picture.width)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}", picture.width * scale


def _saved(picture: Image.Image, file_format: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=file_format, **how)
    return buffer.getvalue()
