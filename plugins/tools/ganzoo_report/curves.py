"""The scalars of metrics.jsonl as plotly figures, one per group of names."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from ganzoo.events import tag
from ganzoo_report.runs import COLORS, ReportedRun, thin

MAX_POINTS = 2000
_MAX_ALARMS = 40  # lines per run, so that a run full of alarms stays readable
_TITLES = {
    "loss": "Losses",
    "scores": "Scores",
    "metric": "Metrics during training",
    "gradient": "Gradients",
    "health": "Health",
}
_ONE_PANEL = ("loss", "scores")  # groups with a common scale: those of a single run share a panel
_CLOCK = ("step", "epoch", "seconds")

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
    groups: dict[str, dict[str, list[Points]]] = {name: {} for name in _TITLES}
    for number, run in enumerate(runs):
        for tick in run.ticks:
            for name, value in tick.items():
                if name in _CLOCK or isinstance(value, bool) or not isinstance(value, (int, float)):
                    continue
                group = "speed" if name == "images_per_second" else tag(name).partition("/")[0]
                series = groups.setdefault(group, {}).setdefault(name, [[] for _ in runs])
                series[number].append((tick["step"], value))
    return [_draw(group, series, runs) for group, series in groups.items() if series]


def html(figure: Figure, name: str) -> Markup:
    """Return a figure as HTML that draws itself with the page's copy of plotly."""
    figure.update_layout(
        template="plotly_white", font={"family": "system-ui, sans-serif", "size": 12}, paper_bgcolor="rgba(0,0,0,0)"
    )
    config = {"displayModeBar": False, "responsive": True}
    return Markup(figure.to_html(config=config, include_plotlyjs=False, full_html=False, div_id=name))


def _draw(group: str, series: dict[str, list[Points]], runs: Sequence[ReportedRun]) -> CurveGroup:
    one_panel = len(runs) == 1 and group in _ONE_PANEL
    columns = 1 if one_panel else min(3, len(series))
    rows = 1 if one_panel else -(-len(series) // columns)
    titles = None if one_panel else list(series)
    figure = make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=0.3 / rows, horizontal_spacing=0.06)
    seen: set[str] = set()
    for number, (name, per_run) in enumerate(series.items()):
        for run, points in zip(runs, per_run, strict=True):
            if not points:
                continue
            color, label = (COLORS[number % len(COLORS)], name) if one_panel else (run.color, run.name)
            steps, values = zip(*thin(points, MAX_POINTS), strict=True)
            figure.add_trace(
                Scatter(
                    x=steps,
                    y=values,
                    name=label,
                    legendgroup=label,
                    showlegend=label not in seen and (one_panel or len(runs) > 1),
                    mode="lines+markers" if len(points) <= 20 else "lines",
                    line={"color": color, "width": 1.6},
                ),
                row=None if one_panel else number // columns + 1,
                col=None if one_panel else number % columns + 1,
            )
            seen.add(label)
    _mark_alarms(figure, runs, 1 if one_panel else len(series))
    height = 330 if one_panel else 70 + 210 * rows
    figure.update_layout(
        height=height,
        margin={"l": 50, "r": 20, "t": 50, "b": 40},
        legend={"orientation": "h", "x": 0, "y": 1 + 30 / height, "yanchor": "bottom"},
        hovermode="x unified",
    )
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title_text="step", title_standoff=4, row=rows)
    longest = max(len(points) for per_run in series.values() for points in per_run)
    note = f"{MAX_POINTS} of {longest} ticks are drawn, evenly spaced." if longest > MAX_POINTS else ""
    element = f"figure-{re.sub('[^a-zA-Z0-9]', '-', group)}"
    return CurveGroup(_TITLES.get(group, group.capitalize()), html(figure, element), note)


def _mark_alarms(figure: Figure, runs: Sequence[ReportedRun], panels: int) -> None:
    for run in runs:
        for alarm in thin(run.alarms, _MAX_ALARMS):
            for panel in map(str, range(1, panels + 1)):
                axis = "" if panel == "1" else panel
                line = {"color": run.color if len(runs) > 1 else "#c00000", "width": 1, "dash": "dot"}
                where = {"xref": f"x{axis}", "yref": f"y{axis} domain", "x0": alarm["step"], "x1": alarm["step"]}
                figure.add_shape(type="line", y0=0, y1=1, line=line, **where)
