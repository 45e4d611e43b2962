"""How good answers about held-out streams are: average precision by event, by game, and of the highlight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, UNKNOWN, Bytes, Floats, Labels

HIGHLIGHT = "highlight"
COLUMNS = (*EVENTS, HIGHLIGHT)
# A game's own figure for an event is given from this many seconds with the event.
LEAST_POSITIVE = 10


@dataclass(frozen=True)
class Figures:
    """Average precisions of one model.

    Attributes:
        events: Of each event, and of `highlight`, over the seconds of all games together.
        cells: Of each (game, event) with at least ten seconds that have the event.
    """

    events: Mapping[str, float]
    cells: Mapping[tuple[str, str], float]

    @property
    def mean(self) -> float:
        """Mean over the five events: the figure that the floor is about."""
        return float(np.mean([self.events[event] for event in EVENTS if event in self.events]))

    @property
    def mean_of_cells(self) -> float:
        """Mean over games and events, where no game helps another and none is larger."""
        return float(np.mean([value for (_, event), value in self.cells.items() if event != HIGHLIGHT]))


def average_precision(scores: Floats, happened: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Returns the area under precision over recall, as a sum over the thresholds; equal scores share one threshold."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], happened[order]
    last_of_score = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found = np.cumsum(hits)[last_of_score]
    precision = found / (last_of_score + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / max(int(hits.sum()), 1))


def figures(names: Sequence[str], answers: Floats, targets: Labels) -> Figures:
    """Measures answers F32[N, S, 6] against targets I8[N, S, 6] of N streams of the named games."""
    games = np.asarray(names)
    events: dict[str, float] = {}
    cells: dict[tuple[str, str], float] = {}
    for column, event in enumerate(COLUMNS):
        known = targets[..., column] != UNKNOWN
        happened = targets[..., column] == 1
        if happened.any():
            events[event] = average_precision(answers[..., column][known], happened[known])
        for game in dict.fromkeys(names):
            mine = (games == game)[:, None] & known
            if (happened & mine).sum() >= LEAST_POSITIVE:
                cells[game, event] = average_precision(answers[..., column][mine], happened[mine])
    return Figures(events, cells)


def only(names: Sequence[str], wanted: Iterable[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Returns which of the streams are of the wanted games."""
    return np.isin(np.asarray(names), list(wanted))


def base_rates(names: Sequence[str], training_names: Sequence[str], training_targets: Labels, seconds: int) -> Floats:
    """Answers F32[N, S, 6] of who knows the game but does not look: how often each event happens in it."""
    known = training_targets != UNKNOWN
    rates = {
        game: ((training_targets == 1) & known)[only(training_names, [game])].mean((0, 1))
        for game in dict.fromkeys(names)
    }
    return np.stack([np.tile(rates[name], (seconds, 1)) for name in names]).astype(np.float32)


def graph_answers(session: Any, frames: Bytes, forget: int = 0) -> Floats:
    """Runs the served graph over streams U8[N, S * 8, H, W, 3] and returns probabilities F32[N, S, 6].

    Args:
        session: The graph.
        frames: The streams.
        forget: So many first channels of the state are cleared before every second.
    """
    shape = next(each.shape for each in session.get_inputs() if each.name == "state")
    state = np.zeros((len(frames), *shape[1:]), np.float32)
    answers = []
    for start in range(0, frames.shape[1], FRAMES_PER_SECOND):
        second = np.ascontiguousarray(frames[:, start : start + FRAMES_PER_SECOND])
        state[:, :forget] = 0
        events, highlight, state = session.run(
            ["events", "highlight", "next_state"], {"frames": second, "state": state}
        )
        answers.append(np.concatenate([events, highlight[:, None]], 1))
    return np.stack(answers, 1)
