"""Candidates that came after the bundle was fitted, by how well their text and picture fit the history: no item waits
for training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from services.orchestrator.catalog.snapshot import VectorColumn
from services.orchestrator.recommend.sources.source import SourceInput
from services.orchestrator.recommend.steps import StepLog

FRESH = "fresh"
# Newer events say more about what fits now; the tenth event back counts about a third.
_DECAY = 0.9


@dataclass(frozen=True)
class FreshItem:
    """A new item.

    Attributes:
        item_id: the item.
        score: how well it fits the history: the sum of the text's and the picture's cosine, -2 to 2.
        resembles: the history item it resembles most; None when it resembles none.
    """

    item_id: str
    score: float
    resembles: str | None


def fresh(request: SourceInput, steps: StepLog) -> list[FreshItem]:
    """Return allowed items that the serving bundle does not know, best fit first; none before the first training."""
    if request.bundle is None:
        steps.skip("candidates/fresh", "orchestrator", "no bundle is loaded: every item competes alike")
        return []
    rows = [row for row in request.bundle.new_rows(request.snapshot) if request.allowed[row]]
    if not rows:
        steps.skip("candidates/fresh", "orchestrator", "no item is newer than the bundle")
        return []
    with steps.measure("candidates/fresh"):
        items = _by_fit(request, rows)
    return items[: request.count]


def _by_fit(request: SourceInput, rows: list[int]) -> list[FreshItem]:
    """Order new items by how much they resemble what the user liked; without such events, in the order of the ids."""
    snapshot = request.snapshot
    past = [
        (snapshot.rows[event.item_id], event.weight * _DECAY**age)
        for age, event in enumerate(reversed(request.history))
        if event.weight > 0 and event.item_id in snapshot.rows
    ]
    if not past:
        return [FreshItem(snapshot.item_ids[row], 0.0, None) for row in rows]
    past_rows = numpy.array([row for row, _ in past])
    weights = numpy.array([weight for _, weight in past], numpy.float32)
    alike = _likeness(snapshot.text, rows, past_rows) + _likeness(snapshot.pictures, rows, past_rows)
    evidence = alike * (weights / weights.sum())
    scores = evidence.sum(axis=1)
    closest = evidence.argmax(axis=1)
    items = [
        FreshItem(
            snapshot.item_ids[row],
            float(scores[place]),
            # Without a vector of its own, or of the history's, it resembles nothing.
            snapshot.item_ids[past_rows[closest[place]]] if evidence[place, closest[place]] > 0 else None,
        )
        for place, row in enumerate(rows)
    ]
    return sorted(items, key=lambda item: -item.score)


def _likeness(
    vectors: VectorColumn, rows: list[int], past_rows: numpy.typing.NDArray[numpy.int64]
) -> numpy.typing.NDArray[numpy.float32]:
    """Return float32[new, past] cosines; zero where either has no vector."""
    return vectors.values[rows] @ vectors.values[past_rows].T
