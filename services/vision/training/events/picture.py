"""Draws `docs/gameplay-events.png`: what the served model says of held-out Freedoom streams, and what happened.

`python -m services.vision.training.events.picture FILE.png` after the streams have been recorded (`make models`), in an
environment that has matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from services.runtime.sources import DataSettings
from services.runtime.training.publish import cpu_session
from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, Bytes, Floats, Labels
from services.vision.training.events.measuring import COLUMNS, HIGHLIGHT, graph_answers
from services.vision.training.events.streams import streams_of

NAME = "recurrent-gameplay-events"
MODEL = Path(__file__).resolve().parents[2] / "models" / NAME / "1" / "model.onnx"
GAMES = ("defend_the_line", "deathmatch", "take_cover")
SECONDS, LOOKED_AT, PICTURES = 24, 120, 8
# What makes a stretch worth showing: score, kill, damage, life lost, idle.
WORTH = np.array([1, 2, 1, 3, 2])


def draw(folder: Path, target: Path) -> None:
    """Draws three stretches of 24 s of the test streams in `folder` as a PNG."""
    streams = streams_of("test", folder)
    session = cpu_session(MODEL.read_bytes())
    figure = Figure(figsize=(11, 7.2))
    grid = figure.add_gridspec(2 * len(GAMES), PICTURES, height_ratios=[1, 0.85] * len(GAMES), hspace=0.45, wspace=0.04)
    axes: Any = None
    for row, game in enumerate(GAMES):
        index = streams.names.index(game)
        frames, labels = streams.frames[index][: LOOKED_AT * FRAMES_PER_SECOND], streams.labels[index][:LOOKED_AT]
        start = _liveliest(labels)
        for column in range(PICTURES):
            _frame(figure.add_subplot(grid[2 * row, column]), frames, start + SECONDS // PICTURES * column + 1)
        axes = figure.add_subplot(grid[2 * row + 1, :])
        _lines(axes, graph_answers(session, frames[None])[0], labels, start)
        axes.set_ylabel(game, fontsize=7)
    figure.legend(*axes.get_legend_handles_labels(), ncol=len(COLUMNS), fontsize=8, loc="lower center", frameon=False)
    figure.savefig(target, dpi=80, bbox_inches="tight")


def _liveliest(labels: Labels) -> int:
    def worth(start: int) -> float:
        happened = labels[start : start + SECONDS] == 1
        return float((happened.any(0) * WORTH).sum() + 0.01 * happened.sum())

    return max(range(len(labels) - SECONDS), key=worth)


def _frame(axes: Any, frames: Bytes, second: int) -> None:
    axes.imshow(frames[second * FRAMES_PER_SECOND + FRAMES_PER_SECOND // 2], aspect=0.9)
    axes.set_axis_off()
    axes.set_title(f"{second} s", fontsize=7, pad=2)


def _lines(axes: Any, answers: Floats, labels: Labels, start: int) -> None:
    shown = slice(start, start + SECONDS)
    middle = np.arange(start, start + SECONDS) + 0.5
    for column, name in enumerate(COLUMNS):
        (line,) = axes.plot(
            middle, answers[shown, column], label=name, linewidth=1.2, linestyle="--" if name == HIGHLIGHT else "-"
        )
        if name in EVENTS:
            times = middle[labels[shown, column] == 1]
            axes.plot(times, np.full(len(times), 1.08 + 0.09 * column), "s", markersize=3, color=line.get_color())
    axes.set_ylim(0, 1.55)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(start, start + SECONDS)
    axes.tick_params(labelsize=7)


if __name__ == "__main__":
    draw(DataSettings().data_directory / "training" / NAME, Path(sys.argv[1]))
