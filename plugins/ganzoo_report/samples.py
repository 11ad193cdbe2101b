"""What only a trained model can show: interpolations, the nearest training examples, and points in the plane."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from markupsafe import Markup
from PIL import Image
from plotly.graph_objects import Figure, Scatter
from torch import Tensor

from ganzoo import Data, GanzooError, Model, Run, UsageError, images, load
from ganzoo.evaluation import draw
from ganzoo.plugins import Zoo, describe, warn
from ganzoo.training import randomness
from ganzoo.training.experiment import build_data
from ganzoo_report import curves, pictures
from ganzoo_report.neighbours import Reference
from ganzoo_report.runs import ReportedRun

ROWS, COLUMNS = 8, 10
_SAMPLES = 12
_POINTS = 2000
_TILE = 96  # pixels; larger pictures are shrunk in the table of neighbours


@dataclass(frozen=True)
class Tile:
    """A sample or a training example as a data URI, with its distance to the sample in words."""

    uri: str
    distance: str = ""


@dataclass(frozen=True)
class View:
    """What a model showed. Each thing is empty where there is none; then its note says why.

    Attributes:
        step: of the checkpoint; None if there is none.
        interpolation: a data URI.
        neighbours: rows of tiles, a sample and its nearest examples.
        scatter: a figure, for points.
    """

    step: int | None = None
    interpolation: str = ""
    interpolation_note: str = ""
    neighbours: list[list[Tile]] = field(default_factory=list)
    neighbours_note: str = ""
    scatter: Markup = field(default_factory=Markup)


def look(found: Sequence[ReportedRun], checkpoint: str, seed: int) -> list[View]:
    """Return a view of each run's model.

    Raises:
        UsageError: no run has the checkpoint, and another than the last was asked for.
    """
    zoo = Zoo()
    loaded: list[Run | GanzooError] = []
    for run in found:
        try:
            loaded.append(load(run.directory.path, checkpoint=checkpoint, device="cpu", zoo=zoo))
        except GanzooError as error:
            loaded.append(error)
    errors = [one for one in loaded if isinstance(one, GanzooError)]
    if checkpoint != "last" and len(errors) == len(loaded):
        raise UsageError("\n".join(map(str, errors)))
    references = _References(zoo, seed)
    return [
        View(interpolation_note=str(one), neighbours_note=str(one))
        if isinstance(one, GanzooError)
        else _view(one, references, f"scatter-{number}")
        for number, one in enumerate(loaded)
    ]


class _References:
    """What is kept of the real data: runs that were trained on the same share it."""

    def __init__(self, zoo: Zoo, seed: int) -> None:
        self.zoo, self.seed = zoo, seed
        self._kept: dict[str, Any] = {}

    def of(self, run: Run, make: Callable[[Data, str], Any]) -> Any:
        """Return what ``make`` makes of a run's data and its target."""
        choice = run.recipe.data
        key = json.dumps([choice.name, choice.settings], sort_keys=True, default=str)
        if key not in self._kept:
            data, _ = build_data(self.zoo, run.recipe, {})
            self._kept[key] = make(data, run.model.target)
        return self._kept[key]


def _view(run: Run, references: _References, name: str) -> View:
    """Ask the model for everything; what a plugin cannot do becomes a note."""
    view = View(step=run.step)
    problem, samples = _guarded(lambda: run.sample(_SAMPLES, references.seed))
    if problem:
        return replace(view, interpolation_note=problem, neighbours_note=problem)
    if samples.dim() == 2 and samples.shape[1] == 2:
        problem, scatter = _guarded(lambda: _scatter(run, references, name))
        note = "The samples are points in the plane, not pictures."
        if problem:
            return replace(view, interpolation_note=note, neighbours_note=problem)
        return replace(view, interpolation_note=note, neighbours_note=note, scatter=scatter)
    if not images.drawable(samples) or not samples.isfinite().all():
        shape = tuple(samples.shape[1:])
        what = f"have shape {shape} and are no pictures" if not images.drawable(samples) else "are not all finite"
        note = f"There is nothing to show: the samples {what}."
        return replace(view, interpolation_note=note, neighbours_note=note)
    problem, (interpolation, how) = _guarded(lambda: _interpolation(run.model, references.seed), ("", ""))
    view = replace(view, interpolation=interpolation, interpolation_note=problem or how)
    problem, (rows, how) = _guarded(lambda: _neighbours(run, references, samples), ([], ""))
    return replace(view, neighbours=rows, neighbours_note=problem or how)


def _guarded(make: Callable[[], Any], otherwise: Any = None) -> tuple[str, Any]:
    """Return ("", what it made), or why it could not: one part of a report must not take the others down."""
    try:
        return "", make()
    except GanzooError as error:
        return str(error), otherwise
    except Exception as error:  # whatever a plugin's model or data raise
        warn(f"A part of the report is missing: {describe(error)}")
        return f"This could not be made: {describe(error)}.", otherwise


def _interpolation(model: Model, seed: int) -> tuple[str, str]:
    """Return a grid whose rows go from one latent to another, and how it was made."""
    latent = model.latent(2 * ROWS, randomness.generator(seed, "interpolation"))
    if len(latent) != 1 or not next(iter(latent.values())).is_floating_point():
        parts = ", ".join(f"{name} ({str(value.dtype).removeprefix('torch.')})" for name, value in latent.items())
        return "", f"Not made: the latent is not one floating tensor but {parts or 'empty'}."
    ((name, value),) = latent.items()
    spherical = name == "z" and value.dim() == 2
    between = slerp if spherical else torch.lerp
    start, end = value[0::2], value[1::2]  # (ROWS, ...) each
    path = [between(start, end, t) for t in torch.linspace(0, 1, COLUMNS)]
    steps = torch.stack(path, dim=1).flatten(0, 1)  # (ROWS * COLUMNS, ...)
    with torch.no_grad():
        samples = torch.cat([model.generate({name: part}) for part in steps.split(COLUMNS)])
    how = "along the great circle" if spherical else "along the straight line"
    return picture(images.grid(samples, COLUMNS)), f"Each row goes from one latent {name} to another {how}."


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Return the spherical interpolation of vectors (n, d), t from 0 to 1: the lengths that normal vectors have are
    kept, which a straight line would cut short. Where two are parallel there is no arc, and it is the straight line.

    White, "Sampling Generative Networks", 2016, https://arxiv.org/abs/1609.04468, section 2.1.
    """
    cosine = torch.cosine_similarity(start, end, dim=1)[:, None].clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    arc = ((1 - t) * angle).sin() / sine * start + (t * angle).sin() / sine * end
    return torch.where(sine.abs() < 1e-4, torch.lerp(start, end, t), arc)


def _neighbours(run: Run, references: _References, samples: Tensor) -> tuple[list[list[Tile]], str]:
    """Return a row for each sample, and what the distances mean."""
    reference = references.of(run, lambda data, target: Reference(references.zoo, data, target, references.seed))
    found = reference.of(samples)
    rows = []
    for sample, values, distances in zip(samples, found.values, found.distances, strict=True):
        tiles = [Tile(_tile(images.from_bytes(v)), f"{d:.3g}") for v, d in zip(values, distances.tolist(), strict=True)]
        rows.append([Tile(_tile(sample)), *tiles])
    some = f"{reference.used:,} (chosen by the seed) of " if reference.used < reference.total else "all "
    nearest = found.distances[:, 0].median().item()
    note = (
        f"Among {some}{reference.total:,} training examples; distances are Euclidean, between {reference.measure}. "
        f"These samples' nearest examples lie {nearest:.3g} away (median). Real samples' nearest other examples lie "
        f"{reference.typical:.3g} away (median): a sample that is far nearer than this may be a copy. {reference.note}"
    )
    return rows, note.strip()


def _scatter(run: Run, references: _References, name: str) -> Markup:
    def some(data, target):
        return draw.gather(draw.real(data, target, min(_POINTS, len(data)), references.seed), data)[0]

    real, fake = references.of(run, some), run.sample(_POINTS, references.seed)  # (n, 2) each
    figure = Figure()
    for label, points, colour, size in (("real", real, "#aaaaaa", 7), ("generated", fake, "#0072b2", 3)):
        x, y = points.T.tolist()
        figure.add_trace(Scatter(x=x, y=y, mode="markers", name=label, marker={"size": size, "color": colour}))
    figure.update_xaxes(constrain="domain")
    figure.update_yaxes(constrain="domain", scaleanchor="x")
    legend = {"orientation": "h", "y": 1, "yanchor": "bottom", "itemsizing": "constant"}
    figure.update_layout(height=500, margin={"l": 40, "r": 10, "t": 40, "b": 40}, legend=legend)
    return curves.html(figure, name)


def _tile(image: Tensor) -> str:
    return picture(images.grid(image[None], 1)[:, 2:-2, 2:-2], _TILE)  # without the grid's padding


def picture(grid: Tensor, widest: int = pictures.WIDEST) -> str:
    """Return a picture (3, H, W) in [0, 1] as a data URI."""
    pixels = grid.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return pictures.uri(Image.fromarray(pixels), widest)
