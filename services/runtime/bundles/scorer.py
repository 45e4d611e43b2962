"""Run a history scorer: an ONNX graph that scores the whole catalogue as a sum of contributions of the user's events.

The graph's inputs and outputs are a contract of their own, written down in `docs/adr/`: recency decay and everything
else that is the
scorer's own business lies inside the graph, so the serving code is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy
import numpy.typing

from services.runtime.engine import OnnxModel

Rows = numpy.typing.NDArray[numpy.int64]
Floats = numpy.typing.NDArray[numpy.float32]
Mask = numpy.typing.NDArray[numpy.bool_]

NO_ROWS: Rows = numpy.zeros(0, numpy.int64)
SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class History:
    """The part of a user's history that a bundle knows.

    Attributes:
        rows: int64[H], row of each event's item, oldest first.
        weights: float32[H], strength of each event.
    """

    rows: Rows
    weights: Floats


@dataclass(frozen=True)
class ScoredCandidates:
    """The best rows by one scorer, best first: int64[K] rows and float32[K] standardised scores."""

    rows: Rows
    scores: Floats


@dataclass(frozen=True)
class Attribution:
    """Scores of given candidates and what each event added.

    Attributes:
        candidate_scores: float32[C], raw scores.
        contributions: float32[H, C]; columns add up to `candidate_scores`.
        mean: mean of the raw scores over the whole catalogue.
        deviation: standard deviation of the raw scores over the whole catalogue.
    """

    candidate_scores: Floats
    contributions: Floats
    mean: float
    deviation: float


class HistoryScorer:
    """One candidate scorer of a bundle."""

    def __init__(self, name: str, model: OnnxModel, item_count: int) -> None:
        self.name = name
        self.item_count = item_count
        self._model = model
        self._all_allowed = numpy.ones(item_count, numpy.bool_)

    def top(self, history: History, excluded: Rows, allowed: Mask | None, count: int) -> ScoredCandidates:
        """Return the best `count` rows that are allowed and not excluded; none when the history says nothing to this
        scorer.
        """
        outputs = self._run(history, excluded, allowed, count, NO_ROWS)
        if not outputs["statistics"][1] > SMALLEST_DEVIATION:
            return ScoredCandidates(NO_ROWS, numpy.zeros(0, numpy.float32))
        scores = outputs["top_scores"].astype(numpy.float32)
        rows = outputs["top_rows"].astype(numpy.int64)
        kept = numpy.isfinite(scores) & (scores > numpy.finfo(numpy.float32).min)
        mean, deviation = _statistics(outputs)
        return ScoredCandidates(rows[kept], (scores[kept] - numpy.float32(mean)) / numpy.float32(deviation))

    def attribute(self, history: History, candidates: Rows) -> Attribution:
        """Return the raw scores of `candidates` and their exact decomposition over the history."""
        outputs = self._run(history, NO_ROWS, None, 1, candidates)
        return attribution(outputs)

    def _run(
        self,
        history: History,
        excluded: Rows,
        allowed: Mask | None,
        count: int,
        candidates: Rows,
    ) -> dict[str, numpy.typing.NDArray[numpy.generic]]:
        return self._model.run(
            {
                "history_rows": history.rows,
                "history_weights": history.weights,
                "exclude_rows": excluded,
                "allowed": self._all_allowed if allowed is None else allowed,
                "k": numpy.array([count], numpy.int64),
                "candidate_rows": candidates,
            }
        )


class Scorer(Protocol):
    """A candidate scorer of a bundle, however it finds its best items."""

    name: str
    item_count: int

    def top(self, history: History, excluded: Rows, allowed: Mask | None, count: int) -> ScoredCandidates:
        """Return the best `count` rows that are allowed and not excluded, best first."""

    def attribute(self, history: History, candidates: Rows) -> Attribution:
        """Return the raw scores of `candidates` and their exact decomposition over the history."""


def attribution(outputs: Mapping[str, numpy.typing.NDArray[numpy.generic]]) -> Attribution:
    """Read an attribution out of what a graph answered."""
    mean, deviation = _statistics(outputs)
    return Attribution(
        outputs["candidate_scores"].astype(numpy.float32),
        outputs["contributions"].astype(numpy.float32),
        mean,
        deviation,
    )


def _statistics(outputs: Mapping[str, numpy.typing.NDArray[numpy.generic]]) -> tuple[float, float]:
    mean, deviation = outputs["statistics"].astype(numpy.float64)
    return float(mean), max(float(deviation), SMALLEST_DEVIATION)
