"""Plots of a result, as SVG text."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from services.cli.load.crew import Result
from services.cli.load.histograms import curve, percentiles
from services.cli.load.ramp import Knee

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "marquee",  # equal data, equal file
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 10,
    "legend.frameon": False,
}
_BLUE, _GREY, _GREEN, _RED, _AMBER = "#1f6feb", "#8b949e", "#2da44e", "#cf222e", "#bf8700"
_SIZE = (8.0, 3.6)


def latency_curve(result: Result) -> str:
    """Plot latency by percentile: from the intended send, and from the actual one."""
    total = result.recording.total
    with rc_context(STYLE):
        figure, axes = _axes("Latency by percentile", "share of calls that were quicker", "ms")
        for values, label, colour, line in (
            (total.latency, "from the time the call was due", _BLUE, "-"),
            (total.service, "from the actual send (service time)", _GREY, "--"),
        ):
            levels, times = curve(values)
            if levels:
                axes.plot([1 / (1 - level) for level in levels], times, line, color=colour, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = {1: "0 %", 2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}
        shown = {place: text for place, text in ticks.items() if place <= max(10, total.ok * 1.1)}
        axes.set_xticks(list(shown), list(shown.values()))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        if total.ok:
            axes.legend()
        return _svg(figure)


def latency_over_time(result: Result) -> str:
    """Plot latency against the time at which calls were due."""
    course = result.recording.course(result.seconds)
    times = _middles(result, len(course))
    with rc_context(STYLE):
        figure, axes = _axes("Latency over time", "time at which the call was due, s", "ms")
        found = [percentiles(one.latency, (50.0, 99.0, 100.0)) for one in course]
        for level, label, colour in ((100.0, "max", _RED), (99.0, "p99", _AMBER), (50.0, "p50", _BLUE)):
            axes.plot(times, [one[level] for one in found], color=colour, label=label, marker=".", markersize=3)
        axes.set_ylim(bottom=0)
        axes.legend()
        return _svg(figure)


def throughput_over_time(result: Result) -> str:
    """Plot the calls that were due, those that were answered, and those answered well."""
    course = result.recording.course(result.seconds)
    times, width = _middles(result, len(course)), result.recording.interval_seconds
    with rc_context(STYLE):
        figure, axes = _axes("Throughput over time", "time, s", "calls/s")
        series: list[tuple[str, str, list[int]]] = [
            ("offered", _GREY, [one.offered for one in course]),
            ("answered", _AMBER, [one.ended for one in course]),
            ("answered well", _GREEN, [one.good for one in course]),
        ]
        for label, colour, counts in series:
            axes.plot(times, [count / width for count in counts], color=colour, label=label)
        axes.set_ylim(bottom=0)
        axes.legend()
        return _svg(figure)


def ramp_curve(knee: Knee) -> str:
    """Plot goodput and p99 against the offered rate, with the knee."""
    points = sorted(knee.points, key=lambda one: one.offered)
    with rc_context(STYLE):
        figure, axes = _axes("Ramp", "offered calls/s", "good answers/s")
        offered = [one.offered for one in points]
        axes.plot(offered, offered, ":", color=_GREY, label="all that was offered")
        axes.plot(offered, [one.goodput for one in points], "o-", color=_GREEN, label="goodput")
        late = axes.twinx()
        late.grid(visible=False)
        late.plot(offered, [one.p99 for one in points], "s--", color=_AMBER, markersize=4, label="p99 (right)")
        late.set_ylabel("p99, ms")
        late.set_yscale("log")
        if knee.rate is not None:
            axes.axvline(knee.rate, color=_RED, linewidth=1, label=f"knee: {knee.rate:,.0f}/s")
        lines = [*axes.get_lines(), *late.get_lines()]
        axes.legend(lines, [str(line.get_label()) for line in lines], loc="upper left")
        return _svg(figure)


def _axes(title: str, across: str, up: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def _middles(result: Result, count: int) -> list[float]:
    width = result.recording.interval_seconds
    return [(place + 0.5) * width for place in range(count)]


def _svg(figure: Figure) -> str:
    with io.StringIO() as out:
        figure.savefig(out, format="svg", metadata={"Date": None})
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
