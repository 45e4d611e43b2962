"""Candidates that many take these days; needs no model service."""

from __future__ import annotations

import heapq
import math

from services.orchestrator.recommend.sources.source import NO_CANDIDATES, Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.recommend.trends import Trends

TRENDING = "trending"
MOST = 20
"""The ranker knows what fits; this source only sees to it that what everybody talks about competes."""


def trending(trends: Trends, request: SourceInput, steps: StepLog, count: int = MOST) -> Candidates:
    """Return the allowed items with the largest faded counts, scored by their logarithm."""
    name = "candidates/trending"
    sums = trends.scores(request.tenant)
    if not sums:
        steps.skip(name, "orchestrator", "no event has been counted yet")
        return NO_CANDIDATES
    rows, allowed = request.snapshot.rows, request.allowed
    with steps.measure(name):
        open_items = (
            (value, item_id)
            for item_id, value in sums.items()
            if (row := rows.get(item_id)) is not None and allowed[row]
        )
        # Ties in the order of the ids, so that replicas agree.
        best = heapq.nsmallest(count, open_items, key=lambda pair: (-pair[0], pair[1]))
        scores = {item_id: math.log2(value) for value, item_id in best if value > 0}
    return Candidates({TRENDING: scores} if scores else {})
