"""Candidates that many take these days; needs no model service."""

from __future__ import annotations

import itertools
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
    leaders = trends.leaders(request.tenant)
    if not leaders:
        steps.skip(name, "orchestrator", "no event has been counted yet")
        return NO_CANDIDATES
    rows, allowed = request.snapshot.rows, request.allowed
    with steps.measure(name):
        open_items = (
            (item_id, value)
            for item_id, value in leaders
            if value > 0 and (row := rows.get(item_id)) is not None and allowed[row]
        )
        scores = {item_id: math.log2(value) for item_id, value in itertools.islice(open_items, count)}
    return Candidates({TRENDING: scores} if scores else {})
