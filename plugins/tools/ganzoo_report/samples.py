"""What only a trained model can show: interpolations, the nearest training examples, and points in the plane."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from markupsafe import Markup
from plotly.graph_objects import Figure, Scatter
from torch import Tensor

from ganzoo import Dataset, GanzooError, Model, Run, UsageError, Zoo, images, load, randomness, warn
from ganzoo.errors import format_error
from ganzoo.evaluation import draw
from ganzoo_report import curves, pictures
from ganzoo_report.neighbors import Reference
from ganzoo_report.runs import ReportedRun

ROWS, COLUMNS = 8, 10
_SAMPLES = 12
_POINTS = 2000
_TILE = 96  # pixels; larger samples and training examples are shrunk

T = TypeVar("T")


@dataclass(frozen=True)
class Tile:
    """A sample, or a training example with its distance to the sample as text. ``uri`` is a data URI."""

    uri: str
    distance: str = ""


@dataclass(frozen=True)
class View:
    """What a model showed. A thing that it cannot show is empty, and its note says why.

    Attributes:
        step: of the checkpoint; None if there is none.
        interpolation: a data URI.
        neighbors: rows of tiles: a sample and its nearest examples.
        points: real and generated points in the plane, (n, 2) each; None for pictures.
    """

    step: int | None = None
    interpolation: str = ""
    interpolation_note: str = ""
    neighbors: list[list[Tile]] = field(default_factory=list)
    neighbors_note: str = ""
    points: tuple[Tensor, Tensor] | None = None


def views(runs: Sequence[ReportedRun], checkpoint: str, seed: int) -> list[View]:
    """Return a view of each run's model.

    Raises:
        UsageError: ``checkpoint`` is not "last", and no run has it.
    """
    zoo = Zoo()
    loaded: list[Run | GanzooError] = []
    for run in runs:
        try:
            loaded.append(load(run.directory.path, checkpoint=checkpoint, zoo=zoo))
        except GanzooError as error:
            loaded.append(error)
    errors = [one for one in loaded if isinstance(one, GanzooError)]
    if checkpoint != "last" and len(errors) == len(loaded):
        raise UsageError("\n".join(dict.fromkeys(map(str, errors))))
    references = _References(zoo, seed)
    return [
        View(interpolation_note=str(one), neighbors_note=str(one))
        if isinstance(one, GanzooError)
        else _view(one, references)
        for one in loaded
    ]


class _References:
    """What is kept of the real data. Runs with the same dataset share it."""

    def __init__(self, zoo: Zoo, seed: int) -> None:
        self.zoo, self.seed = zoo, seed
        self._kept: dict[str, Any] = {}

    def of(self, run: Run, make: Callable[[Dataset], T]) -> T:
        """Return what ``make`` makes of a run's dataset."""
        choice = run.recipe.data
        key = json.dumps([choice.name, choice.options], sort_keys=True, default=str)
        if key not in self._kept:
            dataset, _ = run.dataset(for_evaluation=False)
            self._kept[key] = make(dataset)
        kept: T = self._kept[key]
        return kept


def _view(run: Run, references: _References) -> View:
    """Show everything. What a model cannot do becomes a note."""
    view = View(step=run.step)
    problem, samples = _guarded(lambda: run.sample(_SAMPLES, references.seed), torch.empty(0))
    if samples.dim() == 2 and samples.shape[1] == 2:
        note = "The samples are points in the plane, not pictures."
        problem, points = _guarded(lambda: _points(run, references), None)
        return replace(view, points=points, interpolation_note=note, neighbors_note=problem or note)
    samples = images.shown(samples)
    if not problem and not images.drawable(samples):
        problem = f"Nothing to show: samples of shape {tuple(samples.shape[1:])} are not pictures."
    if not problem and not samples.isfinite().all():
        problem = "Nothing to show: some samples have values that are not finite."
    if problem:
        return replace(view, interpolation_note=problem, neighbors_note=problem)
    problem, (interpolation, note) = _guarded(lambda: _interpolation(run.model, references.seed), ("", ""))
    view = replace(view, interpolation=interpolation, interpolation_note=problem or note)
    problem, (rows, note) = _guarded(lambda: _neighbors(run, references, samples), (list[list[Tile]](), ""))
    return replace(view, neighbors=rows, neighbors_note=problem or note)


def _guarded(make: Callable[[], T], otherwise: T) -> tuple[str, T]:
    """Return "" and what ``make`` made, or what went wrong and ``otherwise``: one failing part of a report must not
    take the others down."""
    try:
        return "", make()
    except GanzooError as error:
        return str(error), otherwise
    except Exception as error:  # anything that a plugin's model or dataset raises
        warn(f"A part of the report is missing: {format_error(error)}")
        return f"This could not be made: {format_error(error)}.", otherwise


def _interpolation(model: Model, seed: int) -> tuple[str, str]:
    """Return a grid whose rows go from one latent to another, and how it was made."""
    latent = model.sample_latent(2 * ROWS, randomness.generator(seed, "interpolation"))
    if len(latent) != 1 or not next(iter(latent.values())).is_floating_point():
        parts = ", ".join(f"{name} ({str(value.dtype).removeprefix('torch.')})" for name, value in latent.items())
        return "", f"Not available: the latent is not one floating-point tensor but {parts or 'empty'}."
    ((name, value),) = latent.items()
    spherical = name == "z" and value.dim() == 2
    between = slerp if spherical else torch.lerp
    start, end = value[0::2], value[1::2]  # (ROWS, ...) each
    path = [between(start, end, t) for t in torch.linspace(0, 1, COLUMNS)]
    steps = torch.stack(path, dim=1).flatten(0, 1)  # (ROWS * COLUMNS, ...)
    with torch.no_grad():
        samples = torch.cat([model.generate({name: part}) for part in steps.split(COLUMNS)])
    how = "along the great circle" if spherical else "along the straight line"
    grid = images.grid(images.shown(samples), COLUMNS)
    return picture(grid), f"Each row goes from one latent {name} to another {how}."


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Return the spherical interpolation of vectors (n, d), for t from 0 to 1. It keeps the length that is typical of
    normal vectors; on the straight line between them, the length would drop. Parallel vectors span no arc, so the
    straight line is used for them.

    White, "Sampling Generative Networks", 2016, https://arxiv.org/abs/1609.04468, section 2.1.
    """
    cosine = torch.cosine_similarity(start, end, dim=1)[:, None].clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    arc = ((1 - t) * angle).sin() / sine * start + (t * angle).sin() / sine * end
    return torch.where(sine.abs() < 1e-4, torch.lerp(start, end, t), arc)


def _neighbors(run: Run, references: _References, samples: Tensor) -> tuple[list[list[Tile]], str]:
    """Return one row per sample, and what the distances mean."""
    reference = references.of(run, lambda dataset: Reference(references.zoo, dataset, references.seed))
    examples, distances = reference.nearest(samples)
    rows = []
    for sample, near, far in zip(samples, examples, distances.tolist(), strict=True):
        tiles = [Tile(_tile(images.from_bytes(image)), f"{d:.3g}") for image, d in zip(near, far, strict=True)]
        rows.append([Tile(_tile(sample)), *tiles])
    searched = f"{reference.used:,} (chosen by the seed) of " if reference.used < reference.total else "all "
    nearest = distances[:, 0].median().item()
    note = (
        f"Searched: {searched}{reference.total:,} training examples. Distances are Euclidean, between "
        f"{reference.measure}. The median distance between these samples and their nearest examples is {nearest:.3g}; "
        f"between real samples and their nearest neighbors, it is {reference.typical:.3g}. A generated sample that is "
        f"much closer than that may be a copy. {reference.note}"
    )
    return rows, note.strip()


def _points(run: Run, references: _References) -> tuple[Tensor, Tensor]:
    """Return real and generated points, (n, 2) each."""

    def choose(dataset: Dataset) -> Tensor:
        return draw.gather(draw.real(dataset, min(_POINTS, len(dataset)), references.seed), dataset)[0]

    return references.of(run, choose), run.sample(_POINTS, references.seed)


def scatters(runs: Sequence[ReportedRun], views: Sequence[View]) -> list[Markup]:
    """Return a figure per dataset of points: the real ones once, and the generated ones of each run over them."""
    clouds: dict[int, list[tuple[str, Tensor, str, int]]] = {}  # label, points, color, size
    for run, view in zip(runs, views, strict=True):
        if view.points:
            real, fake = view.points
            cloud = clouds.setdefault(id(real), [("real", real, "#999999", 7)])
            cloud.append((run.setting if len(runs) > 1 else "generated", fake, run.color, 3))
    return [_scatter(cloud, f"scatter-{number}") for number, cloud in enumerate(clouds.values())]


def _scatter(cloud: Sequence[tuple[str, Tensor, str, int]], name: str) -> Markup:
    figure = Figure()
    for label, points, color, size in cloud:
        x, y = points.double().round(decimals=4).T.tolist()
        figure.add_trace(Scatter(x=x, y=y, mode="markers", name=label, marker={"size": size, "color": color}))
    figure.update_xaxes(constrain="domain", title_text="first coordinate")
    figure.update_yaxes(constrain="domain", scaleanchor="x", title_text="second coordinate")
    legend = {"orientation": "h", "y": 1, "yanchor": "bottom", "itemsizing": "constant"}
    figure.update_layout(height=520, margin={"l": 60, "r": 10, "t": 40, "b": 50}, legend=legend, template="none")
    return curves.html(figure, name)


def _tile(image: Tensor) -> str:
    return picture(images.grid(image[None]), _TILE)


def picture(grid: Tensor, max_width: int = pictures.MAX_WIDTH) -> str:
    """Return a picture (3, H, W) in [0, 1] as a data URI."""
    return pictures.uri(images.to_pil(grid), max_width)
