"""Candidates of the kinds that the user says to like: the best known of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from services.orchestrator.recommend.sources.source import NO_CANDIDATES, Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog

TASTES = "tastes"
_EACH = 30


def tastes(request: SourceInput, liked_tags: Sequence[str], steps: StepLog) -> Candidates:
    """Return the best-known allowed items of each liked tag; scores are their popularity."""
    if not liked_tags:
        return NO_CANDIDATES
    snapshot = request.snapshot
    scores: dict[str, float] = {}
    with steps.measure("candidates/tastes") as report:
        unknown = [tag for tag in liked_tags if not len(snapshot.rows_with_tag(tag))]
        if unknown:
            report.detail = "no item has the tag " + ", ".join(repr(tag[:64]) for tag in unknown)
        for tag in liked_tags:
            rows = snapshot.rows_with_tag(tag)
            rows = rows[request.allowed[rows]]
            best = rows[numpy.argsort(-snapshot.popularity[rows], kind="stable")[:_EACH]]
            scores.update((snapshot.item_ids[row], float(snapshot.popularity[row])) for row in best.tolist())
    return Candidates({TASTES: scores} if scores else {})
