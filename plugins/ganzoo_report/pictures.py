"""The sample grids of runs as a film strip: base64 PNGs that a slider moves through."""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganzoo_report.runs import ReportedRun, thin

MOST = 60
"""Pictures of one name; there may be a few more, so that each run's first and last are there."""
WIDEST = 1040  # pixels; wider ones are shrunk
HEAVIEST = 20_000_000  # bytes of all pictures together, about
_NAME = re.compile(r"(.+)-(\d{8,})\.png")


@dataclass(frozen=True)
class Frame:
    """One picture: its step, its address (a data URI), and its size in the page's pixels."""

    step: int
    uri: str
    width: int


@dataclass(frozen=True)
class Gallery:
    """All pictures.

    Attributes:
        steps: where the slider stops.
        strips: a dictionary for each run: name -> frames, of which the newest at or before the slider's step is shown.
        notes: what a reader should know.
    """

    steps: list[int]
    strips: list[dict[str, list[Frame]]]
    notes: list[str]


def saved(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """Return the pictures of a samples folder: name -> (step, path) in order; fake first, real last."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted(folder.glob("*.png")):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match[1], []).append((int(match[2]), path))
    order = sorted(found, key=lambda name: (name == "real", name != "fake", name))
    return {name: sorted(found[name]) for name in order}


def gallery(found: Sequence[ReportedRun]) -> Gallery:
    """Read the pictures of all runs, thinned where there are many."""
    every = [saved(run.directory.samples) for run in found]
    moving = [[step for pictures in there.values() if len(pictures) > 1 for step, _ in pictures] for there in every]
    union = sorted({step for steps in moving for step in steps})
    sizes = [pictures[-1][1].stat().st_size for there in every for pictures in there.values()]
    most = max(2, min(MOST, HEAVIEST // max(1, sum(sizes))))
    stops = sorted({*thin(union, most), *(step for steps in moving if steps for step in (min(steps), max(steps)))})
    notes, strips, broken = [], [], 0
    for there in every:
        strips.append({})
        for name, pictures in there.items():
            chosen = _shown(pictures, stops) if len(pictures) > 1 else pictures
            frames = [_frame(step, path) for step, path in chosen]
            broken += frames.count(None)
            strips[-1][name] = [frame for frame in frames if frame]
    if len(stops) < len(union):
        notes.append(f"{len(stops)} of {len(union)} steps are shown, evenly spaced, the first and the last among them.")
    if broken:
        notes.append(f"{broken} pictures could not be read and are left out.")
    return Gallery(stops, strips, notes)


def _shown(pictures: list[tuple[int, Path]], stops: Iterable[int]) -> list[tuple[int, Path]]:
    """Return the pictures that are the newest at one of the stops."""
    newest = {max((p for p in pictures if p[0] <= stop), default=pictures[0]) for stop in stops}
    return sorted(newest)


def _frame(step: int, path: Path) -> Frame | None:
    try:
        with Image.open(path) as picture:
            picture.load()
            return Frame(step, *_encode(picture, WIDEST, path.read_bytes()))
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for a file that is no whole picture
        return None


def uri(picture: Image.Image, widest: int = WIDEST) -> str:
    """Return a picture as a data URI, shrunk to ``widest`` pixels."""
    return _encode(picture, widest)[0]


def _encode(picture: Image.Image, widest: int, content: bytes | None = None) -> tuple[str, int]:
    """Return the data URI and how wide to show it: small pictures are enlarged, by whole numbers to stay sharp."""
    if picture.width > widest or content is None:
        if picture.width > widest:
            picture = picture.resize((widest, max(1, picture.height * widest // picture.width)))
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG", optimize=True)
        content = buffer.getvalue()
    scale = max(1, 500 // picture.width)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}", picture.width * scale
