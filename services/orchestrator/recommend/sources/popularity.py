"""Candidates that many users chose; needs no model service, so it always answers."""

from __future__ import annotations

import numpy

from services.orchestrator.recommend.sources.source import Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog

POPULARITY = "popularity"


def popularity(request: SourceInput, steps: StepLog) -> Candidates:
    """Return the allowed items with the most positive events, scored by their logarithm; ties in the order of the
    ids.
    """
    with steps.measure("candidates/popularity"):
        scores = numpy.where(request.allowed, request.snapshot.popularity, -numpy.inf)
        best = numpy.argsort(-scores, kind="stable")[: request.count]
        chosen = [int(row) for row in best if request.allowed[row]]
    return Candidates({POPULARITY: {request.snapshot.item_ids[row]: float(scores[row]) for row in chosen}})
