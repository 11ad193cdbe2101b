"""The scalars of metrics.jsonl as plotly figures, one for each group of names."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from ganzoo_report.runs import COLOURS, ReportedRun, thin

POINTS = 2000
_ALARMS = 40  # lines a run, so that a run full of alarms can still be read
_TITLES = {
    "loss": "Losses",
    "scores": "Scores",
    "metric": "Metrics while it trained",
    "gradient": "Gradients",
    "health": "Health",
}
_TOGETHER = ("loss", "scores")  # these share a scale, so that one run's are drawn in one panel
_CLOCK = ("step", "epoch", "seconds")

Points = list[tuple[int, float]]


class CurveGroup(NamedTuple):
    """A figure.

    Attributes:
        title: such as Losses.
        figure: HTML.
        note: what a reader should know; empty if nothing.
    """

    title: str
    figure: Markup
    note: str


def figures(found: Sequence[ReportedRun]) -> list[CurveGroup]:
    """Return a figure for each group of scalars that any of the runs has."""
    groups: dict[str, dict[str, list[Points]]] = {name: {} for name in _TITLES}
    for number, run in enumerate(found):
        for tick in run.ticks:
            for name, value in tick.items():
                if name in _CLOCK or isinstance(value, bool) or not isinstance(value, (int, float)):
                    continue
                series = groups.setdefault(_group(name), {}).setdefault(name, [[] for _ in found])
                series[number].append((tick["step"], value))
    return [_draw(group, series, found) for group, series in groups.items() if series]


def html(figure: Figure, name: str) -> Markup:
    """Return a figure as HTML that draws itself with the page's plotly."""
    figure.update_layout(
        template="plotly_white", font={"family": "system-ui, sans-serif", "size": 12}, paper_bgcolor="rgba(0,0,0,0)"
    )
    config = {"displayModeBar": False, "responsive": True}
    return Markup(figure.to_html(config=config, include_plotlyjs=False, full_html=False, div_id=name))


def _group(name: str) -> str:
    if name == "images_per_second":
        return "speed"
    return name.partition("/")[0] if "/" in name else "scores"


def _draw(group: str, series: dict[str, list[Points]], found: Sequence[ReportedRun]) -> CurveGroup:
    together = len(found) == 1 and group in _TOGETHER
    columns = 1 if together else min(3, len(series))
    rows = 1 if together else -(-len(series) // columns)
    titles = None if together else list(series)
    figure = make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=0.3 / rows, horizontal_spacing=0.06)
    seen: set[str] = set()
    for number, (name, of_runs) in enumerate(series.items()):
        for run, points in zip(found, of_runs, strict=True):
            if not points:
                continue
            colour, label = (COLOURS[number % len(COLOURS)], name) if together else (run.colour, run.name)
            steps, values = zip(*thin(points, POINTS), strict=True)
            figure.add_trace(
                Scatter(
                    x=steps,
                    y=values,
                    name=label,
                    legendgroup=label,
                    showlegend=label not in seen and (together or len(found) > 1),
                    mode="lines+markers" if len(points) <= 20 else "lines",
                    line={"color": colour, "width": 1.6},
                ),
                row=None if together else number // columns + 1,
                col=None if together else number % columns + 1,
            )
            seen.add(label)
    _mark_alarms(figure, found, 1 if together else len(series))
    height = 330 if together else 70 + 210 * rows
    figure.update_layout(
        height=height,
        margin={"l": 50, "r": 20, "t": 50, "b": 40},
        legend={"orientation": "h", "x": 0, "y": 1 + 30 / height, "yanchor": "bottom"},
        hovermode="x unified",
    )
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title_text="step", title_standoff=4, row=rows)
    longest = max(len(points) for of_runs in series.values() for points in of_runs)
    note = f"{POINTS} of {longest} ticks are drawn, evenly spaced." if longest > POINTS else ""
    return CurveGroup(
        _TITLES.get(group, group.capitalize()), html(figure, f"figure-{re.sub('[^a-zA-Z0-9]', '-', group)}"), note
    )


def _mark_alarms(figure: Figure, found: Sequence[ReportedRun], panels: int) -> None:
    for run in found:
        for alarm in thin(run.alarms, _ALARMS):
            for panel in map(str, range(1, panels + 1)):
                axis = "" if panel == "1" else panel
                line = {"color": run.colour if len(found) > 1 else "#c00000", "width": 1, "dash": "dot"}
                where = {"xref": f"x{axis}", "yref": f"y{axis} domain", "x0": alarm["step"], "x1": alarm["step"]}
                figure.add_shape(type="line", y0=0, y1=1, line=line, **where)
