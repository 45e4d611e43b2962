"""Candidates that many users chose; needs no model service, so it always answers."""

from __future__ import annotations

from services.orchestrator.recommend.sources.source import Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog

POPULARITY = "popularity"


def popularity(request: SourceInput, steps: StepLog) -> Candidates:
    """Return the allowed items with the most positive events, scored by their logarithm; ties in the order of the
    ids.
    """
    with steps.measure("candidates/popularity"):
        snapshot = request.snapshot
        order = snapshot.most_popular
        chosen = order[request.allowed[order]][: request.count]
        scores = {snapshot.item_ids[row]: float(snapshot.popularity[row]) for row in chosen.tolist()}
    return Candidates({POPULARITY: scores})
