"""The card's tables: by event, by part, by game, and what a second of video costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, GAMES, HEIGHT, WIDTH, Labels
from services.vision.training.events.measuring import COLUMNS, HIGHLIGHT, Figures, only
from services.vision.training.events.networks import GRID, STATE_CHANNELS
from services.vision.training.speed import hardware
from services.vision.training.version import CARDS

CARD = "recurrent-gameplay-events.md"
SERVED, CLEARED = "**recurrent, served**", "recurrent, memory cleared every second"
STACKED, TWICE = "4-frame stack", "4-frame stack asked twice a second, the larger answer"
BASE = "base rate of the game"
# By how much 1 - AP is to be lower than on the stack.
WANTED_GAIN = 0.15
_SPEED_RUNS = 40


def render_card(
    measured: Mapping[str, Figures],
    parts: Mapping[str, Mapping[str, Figures]],
    targets: Labels,
    names: Sequence[str],
    seconds: Mapping[str, float],
    difference: float,
    graph_bytes: int,
    milliseconds: Mapping[int, float],
) -> str:
    """Fills the template.

    Args:
        measured: Figures of each model over all games; the keys are this module's names.
        parts: The same over some of the games.
        targets: What was asked, I8[N, S, 6].
        names: The game of each stream.
        seconds: Processor seconds of each fit.
        difference: Largest difference of a probability between graph and network.
        graph_bytes: Size of the served graph.
        milliseconds: Processor time of one run by batch size.
    """
    served, stacked = measured[SERVED], measured[STACKED]
    return (
        (CARDS / CARD)
        .read_text(encoding="utf-8")
        .format(
            megabytes=graph_bytes / 1e6,
            by_event=_by_event(measured, targets),
            by_part="\n\n".join(f"{part}:\n\n{_by_event(each, None)}" for part, each in parts.items()),
            by_game=_by_game(served, stacked, targets, names),
            gain=_gain(served.mean, stacked.mean),
            verdict="reached" if _gain(served.mean, stacked.mean) >= WANTED_GAIN else "missed",
            cell_gain=_gain(served.mean_of_cells, stacked.mean_of_cells),
            served=served,
            stacked=stacked,
            seconds=seconds,
            difference=difference,
            milliseconds=milliseconds[1],
            milliseconds_8=milliseconds[8],
            times_real=1e3 / milliseconds[1],
            hardware=hardware(),
            test_seconds=targets.shape[0] * targets.shape[1],
        )
    )


def speed(session: Any) -> Mapping[int, float]:
    """Returns the median processor milliseconds of a run, by the number of streams in it."""
    return {batch: _milliseconds(session, batch) for batch in (1, 8)}


def _milliseconds(session: Any, batch: int) -> float:
    random = np.random.default_rng(0)
    feeds = {
        "frames": random.integers(0, 255, (batch, FRAMES_PER_SECOND, HEIGHT, WIDTH, 3), dtype=np.uint8),
        "state": np.zeros((batch, STATE_CHANNELS, *GRID), np.float32),
    }
    taken = []
    for _ in range(_SPEED_RUNS):
        begun = time.thread_time()
        session.run(None, feeds)
        taken.append(time.thread_time() - begun)
    return statistics.median(taken) * 1e3


def _gain(ours: float, theirs: float) -> float:
    return 1 - (1 - ours) / (1 - theirs)


def _by_event(measured: Mapping[str, Figures], targets: Labels | None) -> str:
    rows = [f"| model | {' | '.join(EVENTS)} | mean of events | mean of games and events | {HIGHLIGHT} |"]
    rows.append("|---" * (len(COLUMNS) + 3) + "|")
    for name, each in measured.items():
        values = [f"{each.events[event]:.3f}" if event in each.events else "–" for event in EVENTS]
        means = [f"**{each.mean:.4f}**", f"{each.mean_of_cells:.4f}", f"{each.events[HIGHLIGHT]:.3f}"]
        rows.append(f"| {name} | {' | '.join([*values, *means])} |")
    if targets is not None:
        counts = (targets == 1).sum((0, 1))
        rows.append(f"| seconds with it | {' | '.join(str(n) for n in counts[:-1])} | | | {counts[-1]} |")
    return "\n".join(rows)


def _by_game(served: Figures, stacked: Figures, targets: Labels, names: Sequence[str]) -> str:
    rows = [f"| game | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name in GAMES:
        cells = []
        for column, event in enumerate(COLUMNS):
            mine = targets[only(names, [name])][..., column]
            if (name, event) in served.cells:
                ours, theirs = served.cells[name, event], stacked.cells[name, event]
                cells.append(f"{ours:.2f} / {theirs:.2f} ({(mine == 1).sum()})")
            else:
                cells.append("not told" if (mine < 0).all() else f"({(mine == 1).sum()})")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)
