"""The scalars of metrics.jsonl as plotly figures, one per group of names."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from ganzoo.events import tag
from ganzoo_report.runs import ReportedRun, thin
from ganzoo_report.settings import color

MAX_POINTS = 2000
_MAX_ALARMS = 40  # lines per run, so that a run full of alarms stays readable
_GROUPS = {  # group -> title of its figure, title of its y-axes
    "loss": ("Losses", "loss"),
    "scores": ("Scores", "score"),
    "metric": ("Metrics during training", "value"),
    "gradient": ("Gradients", "gradient norm"),
    "health": ("Health", "relative to the data"),
    "lr": ("Learning rates", "learning rate"),
    "speed": ("Speed", "examples per second"),
}
_ONE_PANEL = ("loss", "scores")  # groups with a common scale: those of a single run share a panel
_CLOCK = ("step", "epoch", "seconds")
_FEW = 20  # so few points are shown as markers

Points = list[tuple[float, float]]


class CurveGroup(NamedTuple):
    """A figure of a report.

    Attributes:
        title: such as Losses.
        figure: HTML.
        note: what is missing and why; empty if nothing is.
    """

    title: str
    figure: Markup
    note: str


def figures(runs: Sequence[ReportedRun]) -> list[CurveGroup]:
    """Return one figure per group of scalars."""
    groups: dict[str, dict[str, list[Points]]] = {name: {} for name in _GROUPS}
    for number, run in enumerate(runs):
        for tick in run.ticks:
            for name, value in tick.items():
                if name in _CLOCK or isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                group = "speed" if name == "examples_per_second" else tag(name).partition("/")[0]
                series = groups.setdefault(group, {}).setdefault(name, [[] for _ in runs])
                series[number].append((tick["step"], value))
    return [_draw(group, series, runs) for group, series in groups.items() if series]


def html(figure: Figure, name: str, columns: int = 1) -> Markup:
    """Return a figure as data, which the script of the page draws in the element above it. Where the page is too narrow
    for its columns, it scrolls."""
    plain = str(figure.to_json()).replace("<", "\\u003c")  # no text of a run can end the element
    size = f"height: {figure.layout.height}px; min-width: {280 * columns}px"
    return Markup(
        f'<div class="wide"><div id="{name}" style="{size}"></div></div>\n'
        f'<script type="application/json" data-plot="{name}">{plain}</script>'
    )


def _draw(group: str, series: dict[str, list[Points]], runs: Sequence[ReportedRun]) -> CurveGroup:
    title, unit = _GROUPS.get(group, (group.capitalize(), "value"))
    one_panel = len(runs) == 1 and group in _ONE_PANEL
    columns = 1 if one_panel else min(3, len(series))
    rows = 1 if one_panel else -(-len(series) // columns)
    names = None if one_panel else ["examples per second" if name == "examples_per_second" else name for name in series]
    panels = 1 if one_panel else len(series)
    cells: list[dict[str, str] | None] = [{} if number < panels else None for number in range(rows * columns)]
    used = [cells[row * columns : (row + 1) * columns] for row in range(rows)]  # None: no empty panel
    figure = make_subplots(
        rows, columns, specs=used, subplot_titles=names, vertical_spacing=0.32 / rows, horizontal_spacing=0.08
    )
    seen: set[str] = set()
    for number, (name, per_run) in enumerate(series.items()):
        row, column = (1, 1) if one_panel else (number // columns + 1, number % columns + 1)
        for run, points in zip(runs, per_run, strict=True):
            if points:
                label, paint = (name, color(number)) if one_panel else (run.setting, run.color)
                trace = _trace(points, label, paint, hover=run.name if len(runs) > 1 else name)
                trace.showlegend = label not in seen and (one_panel or len({run.setting for run in runs}) > 1)
                figure.add_trace(trace, row=row, col=column)
                seen.add(label)
        figure.update_xaxes(title_text="step", title_standoff=4, row=row, col=column)
        figure.update_yaxes(title_text=unit, title_standoff=4, row=row, col=column)
    _mark_alarms(figure, runs, panels)
    height = 340 if one_panel else 80 + 230 * rows
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 20, "t": 50, "b": 45},
        legend={"orientation": "h", "x": 0, "y": 1 + 30 / height, "yanchor": "bottom"},
        template="none",
    )
    figure.update_annotations(font_size=12)
    longest = max(len(points) for per_run in series.values() for points in per_run)
    note = f"{MAX_POINTS} of {longest} ticks are drawn, evenly spaced." if longest > MAX_POINTS else ""
    return CurveGroup(title, html(figure, f"figure-{re.sub('[^a-zA-Z0-9]', '-', group)}", columns), note)


def _trace(points: Points, label: str, paint: str, hover: str) -> Any:
    """Return a curve. The script of the page draws it smoothed, over itself."""
    steps, values = zip(*thin(points, MAX_POINTS), strict=True)
    return Scatter(
        x=steps,
        y=[float(f"{value:.6g}") for value in values],
        name=label,
        legendgroup=label,
        mode="lines+markers" if len(points) <= _FEW else "lines",
        line={"color": paint, "width": 1.6},
        marker={"size": 5},
        hovertemplate=f"step %{{x}}: %{{y:.4g}}<extra>{_escaped(hover)}</extra>",
        meta={"smooth": len(points) > _FEW},
    )


def _escaped(text: str) -> str:
    """Return text as plotly shows it: it has tags and placeholders of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def _mark_alarms(figure: Figure, runs: Sequence[ReportedRun], panels: int) -> None:
    for run in runs:
        for alarm in thin(run.alarms, _MAX_ALARMS):
            for panel in map(str, range(1, panels + 1)):
                axis = "" if panel == "1" else panel
                line = {"color": run.color if len(runs) > 1 else "#c00000", "width": 1, "dash": "dot"}
                where = {"xref": f"x{axis}", "yref": f"y{axis} domain", "x0": alarm["step"], "x1": alarm["step"]}
                figure.add_shape(type="line", y0=0, y1=1, line=line, **where)
