"""The plots of docs/benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

from tests.load.benchmark.results import IN_PROCESS, Journal, Spread, overhead, rate_ratio

# Draws into files, also where there is no screen.
matplotlib.use("Agg")

_OURS, _THEIRS = "#1f6f8b", "#b9b4a7"
_SIZE = (9.0, 3.2)


def draw(journal: Journal, systems: dict[str, str], workloads: dict[str, str], folder: Path) -> list[Path]:
    """Draw every plot that has data; returns the files.

    Args:
        journal: what was measured.
        systems: name → title, in the order of the bars.
        workloads: name → title, one panel each.
        folder: where the files go.
    """
    matplotlib.rcParams.update({"svg.hashsalt": "marquee", "svg.fonttype": "none", "font.size": 9})
    drawn = [
        _bars(
            "Processor time of the server above in-process ONNX Runtime, µs a request (less is better)",
            lambda system, workload: overhead(journal, system, workload),
            (systems, workloads),
            folder / "overhead.svg",
        ),
        _bars(
            "Requests a second as a share of in-process ONNX Runtime on all cores (more is better)",
            lambda system, workload: rate_ratio(journal, system, IN_PROCESS, workload),
            (systems, {name: title for name, title in workloads.items() if name not in {"trivial", "forest"}}),
            folder / "throughput.svg",
        ),
        _bars(
            "Latency at p99 with 32 callers, ms (less is better)",
            lambda system, workload: _p99(journal, system, workload),
            (systems, workloads),
            folder / "latency.svg",
        ),
    ]
    return [one for one in drawn if one is not None]


def _p99(journal: Journal, system: str, workload: str) -> Spread | None:
    values = [one.latency[2] * 1e3 for one in journal.of(system, workload)]
    return Spread.of(values) if values else None


def _bars(
    title: str,
    figure_of: Callable[[str, str], Spread | None],
    names: tuple[dict[str, str], dict[str, str]],
    file: Path,
) -> Path | None:
    systems, workloads = names
    panels = {
        workload: [(name, found) for name in systems if (found := figure_of(name, workload)) is not None]
        for workload in workloads
    }
    panels = {workload: rows for workload, rows in panels.items() if rows}
    if not panels:
        return None
    columns = min(3, len(panels))
    rows_of_panels = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        rows_of_panels, columns, figsize=(_SIZE[0], _SIZE[1] * rows_of_panels), squeeze=False, layout="constrained"
    )
    figure.suptitle(title, fontsize=10)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (workload, rows) in zip(axes.flat, panels.items(), strict=False):
        _panel(axis, [systems[name] for name, _ in rows], [name for name, _ in rows], [found for _, found in rows])
        axis.set_title(workloads[workload], fontsize=9)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file


def _panel(axis: Axes, titles: Sequence[str], names: Sequence[str], found: Sequence[Spread]) -> None:
    medians = [one.median for one in found]
    errors = [[one.median - one.low for one in found], [one.high - one.median for one in found]]
    colours = [_OURS if name.startswith("marquee") else _THEIRS for name in names]
    axis.barh(range(len(found)), medians, xerr=errors, color=colours, ecolor="#555555", capsize=2)
    axis.set_yticks(range(len(found)), titles)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
