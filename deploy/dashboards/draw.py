"""Draws a dashboard from its JSON and a Prometheus, where there is no Grafana: the documentation's pictures."""

from __future__ import annotations

import itertools
import json
import math
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import dates, pyplot  # the backend is chosen first
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

_COLUMNS = 24
_INCHES_A_COLUMN, _INCHES_A_LINE = 0.62, 0.29
_MOST_IN_LEGEND = 6
_BACKGROUND, _PAPER, _INK, _FAINT = "#f4f5f5", "#ffffff", "#24292e", "#6e7681"
_COLOURS = {"green": "#2f7d46", "orange": "#b25000", "red": "#b3261e"}
_SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Series:
    """One line of a graph: what it is called, and its values over the moments, in seconds since 1970."""

    name: str
    moments: list[float]
    values: list[float]


class Prometheus:
    """Asks a Prometheus over a stretch of time.

    Args:
        url: for example http://127.0.0.1:9090.
        start: beginning, in seconds since 1970.
        end: end.
        step: seconds between two values.
        variables: what the dashboard's variables stand for.
    """

    def __init__(self, url: str, start: float, end: float, step: float, variables: Mapping[str, str]) -> None:
        self.start, self.end = start, end
        self._url = url
        self._step = step
        self._variables = variables

    def series(self, expression: str, legend: str) -> list[Series]:
        """Return what an expression gives, with the variables filled in.

        Raises:
            urllib.error.HTTPError: Prometheus does not take it.
        """
        for name, value in self._variables.items():
            expression = expression.replace(f"${name}", value)
        asked = {"query": expression, "start": self.start, "end": self.end, "step": self._step}
        address = f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # an address that we made
            found = json.load(answer)["data"]["result"]
        return [
            Series(
                _name(legend, one["metric"]),
                [float(moment) for moment, _ in one["values"]],
                [float(value) for _, value in one["values"]],
            )
            for one in found
        ]


def draw(document: Mapping[str, Any], prometheus: Prometheus, path: Path) -> int:
    """Draw a dashboard into a PNG file; returns how many panels have nothing to show."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in document["panels"])
    size = (_COLUMNS * _INCHES_A_COLUMN, (lines + 2) * _INCHES_A_LINE)
    figure = pyplot.figure(figsize=size, facecolor=_BACKGROUND)
    figure.text(0.008, 1 - 0.75 / (lines + 2), document["title"], size=15, weight="bold", color=_INK, va="center")
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(prometheus.end))
    told = f"{(prometheus.end - prometheus.start) / 60:.0f} minutes to {when} UTC"
    figure.text(0.992, 1 - 0.75 / (lines + 2), told, size=9, color=_FAINT, va="center", ha="right")
    empty = 0
    for panel in document["panels"]:
        place = panel["gridPos"]
        top = 1 - (place["y"] + 1.6) / (lines + 2)
        if panel["type"] == "row":
            figure.text(0.008, top - 0.6 / (lines + 2), panel["title"], size=11, weight="bold", color=_INK, va="center")
            continue
        box = (place["x"] / _COLUMNS, top - place["h"] / (lines + 2), place["w"] / _COLUMNS, place["h"] / (lines + 2))
        found = [one for query in panel["targets"] for one in prometheus.series(query["expr"], query["legendFormat"])]
        empty += not found
        (_number if panel["type"] == "stat" else _graph)(figure, box, panel, found)
    figure.savefig(path, dpi=72, facecolor=_BACKGROUND)
    pyplot.close(figure)
    return empty


Box = tuple[float, float, float, float]


def _card(figure: Figure, box: Box, panel: Mapping[str, Any]) -> None:
    x, y, width, height = box
    gap_x, gap_y = 0.003, 0.09 / figure.get_figheight()
    size = (x + gap_x, y + gap_y), width - 2 * gap_x, height - 2 * gap_y
    figure.patches.append(
        Rectangle(*size, transform=figure.transFigure, facecolor=_PAPER, edgecolor="#d0d7de", linewidth=0.6, zorder=-1)
    )
    top = y + height - gap_y - 0.16 / figure.get_figheight()
    figure.text(x + gap_x + 0.006, top, panel["title"], size=8.5, weight="bold", color=_INK, va="center")


def _number(figure: Figure, box: Box, panel: Mapping[str, Any], found: Sequence[Series]) -> None:
    _card(figure, box, panel)
    x, y, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    if not found:
        figure.text(x + width / 2, y + height * 0.42, "no data", size=10, color=_FAINT, ha="center", va="center")
    for place, one in enumerate(found):
        value = one.values[-1]
        middle = x + width * (place + 0.5) / len(found)
        size = 18 if len(found) == 1 else 13
        colour = _COLOURS[_step_colour(defaults["thresholds"]["steps"], value)]
        text = _in_words(value, defaults["unit"])
        figure.text(middle, y + height * 0.47, text, size=size, weight="bold", color=colour, ha="center", va="center")
        if one.name:
            figure.text(middle, y + height * 0.2, one.name, size=7, color=_FAINT, ha="center", va="center")


def _graph(figure: Figure, box: Box, panel: Mapping[str, Any], found: Sequence[Series]) -> None:
    _card(figure, box, panel)
    x, y, width, height = box
    inch_x, inch_y = 1 / figure.get_figwidth(), 1 / figure.get_figheight()
    axes = figure.add_axes(
        (x + 0.62 * inch_x, y + 0.78 * inch_y, width - 0.8 * inch_x, height - 1.2 * inch_y), facecolor=_PAPER
    )
    defaults = panel["fieldConfig"]["defaults"]
    ordered = sorted(found, key=lambda one: -_mean(one.values))
    if defaults["custom"]["stacking"]["mode"] == "normal" and ordered:
        _stack(axes, ordered)
    else:
        for one in ordered:
            moments, values = _with_gaps(one)
            axes.plot(_moments(moments), values, linewidth=1.1, label=one.name)
    if not found:
        axes.text(0.5, 0.5, "nothing happened", transform=axes.transAxes, size=9, color=_FAINT, ha="center")
    _dress(axes, defaults["unit"])
    handles, labels = axes.get_legend_handles_labels()
    if any(labels):
        more = len(labels) - _MOST_IN_LEGEND
        shown = [_short(label) for label in labels[:_MOST_IN_LEGEND]]
        if more > 0:
            shown[-1] += f"  (+ {more} more)"
        axes.legend(
            handles[:_MOST_IN_LEGEND], shown, loc="upper left", bbox_to_anchor=(-0.12, -0.13), ncols=2, fontsize=6.5,
            frameon=False, handlelength=1.0, columnspacing=1.0, labelspacing=0.25, borderaxespad=0, labelcolor=_INK,
        )  # fmt: skip


def _with_gaps(one: Series) -> tuple[list[float], list[float]]:
    """Return moments and values with NaN where a value is missing, so that no line is drawn over it."""
    steps = [after - before for before, after in itertools.pairwise(one.moments)]
    moments, values = [], []
    for moment, value, step in zip(one.moments, one.values, [*steps, 0.0], strict=True):
        moments.append(moment)
        values.append(value)
        if step > 1.5 * min(steps, default=0.0):
            moments.append(moment + step / 2)
            values.append(math.nan)
    return moments, values


def _stack(axes: Axes, ordered: Sequence[Series]) -> None:
    moments = sorted({moment for one in ordered for moment in one.moments})
    rows = []
    for one in ordered:
        values = dict(zip(one.moments, one.values, strict=True))
        rows.append([0.0 if math.isnan(value := values.get(moment, 0.0)) else value for moment in moments])
    axes.stackplot(_moments(moments), *rows, labels=[one.name for one in ordered], alpha=0.75, linewidth=0)


def _dress(axes: Axes, unit: str) -> None:
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _in_words(value, unit)))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=5))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=6.5, colors=_FAINT, length=0, pad=2)
    axes.grid(color="#e6e8eb", linewidth=0.6)
    for side in axes.spines.values():
        side.set_visible(False)


def _moments(seconds: Sequence[float]) -> Any:
    return dates.date2num([datetime.fromtimestamp(one).astimezone() for one in seconds])  # type: ignore[no-untyped-call]


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else 0.0


def _step_colour(steps: Sequence[Mapping[str, Any]], value: float) -> str:
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(reached[-1])


def _in_words(value: float, unit: str) -> str:
    if math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return _duration(value)
    for size, letter in _SIZES:
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}" + ("B" if unit == "bytes" else "")
    return f"{value:.3g}" + {"reqps": "/s", "ops": "/s", "bytes": " B"}.get(unit, "")


def _duration(seconds: float) -> str:
    for size, word in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {word}"
    return "0 s"
