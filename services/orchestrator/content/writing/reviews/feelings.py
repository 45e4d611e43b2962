"""How reviews and their clauses feel, through the mesh."""

from __future__ import annotations

import time
from collections.abc import Sequence

from marquee.text.v1 import text_service_pb2 as text_pb
from services.orchestrator.content.writing.reviews.clauses import Clause
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.steps import StepLog, describe_model

_TOGETHER = 128
# Clauses that are asked about at most; those of the aspects that most reviews speak of come first.
MOST_CLAUSES = 600
# A caller's aspect fits a clause from this cosine on; below it, its words must stand there.
_FITS = 0.35


async def sentiments(
    mesh: Mesh, texts: Sequence[str], clauses: Sequence[str], steps: StepLog, seconds: float
) -> tuple[list[float], list[float]] | None:
    """Return the sentiment of each text and of each clause, -1 to 1; None when no model answers.

    When the time is over, the last clauses have none.
    """
    scores: list[float] = []
    end = time.monotonic() + seconds
    with steps.measure("reviews/sentiment", "text") as report:
        asked = [*texts, *clauses]
        for start in range(0, len(asked), _TOGETHER):
            part = asked[start : start + _TOGETHER]
            left = end - time.monotonic()
            reply = await mesh.understand_texts(part, [text_pb.UNDERSTANDING_TASK_SENTIMENT], left)
            scores += [result.sentiment.score for result in reply.results]
            describe_model(report, reply.report)
    return (scores[: len(texts)], scores[len(texts) :]) if len(scores) >= len(texts) else None


async def fitting_aspects(
    mesh: Mesh, clauses: Sequence[Clause], aspects: Sequence[str], steps: StepLog, seconds: float
) -> dict[str, list[int]]:
    """Return the places of the clauses that the caller's aspects fit by meaning; nothing when no model answers."""
    found: dict[str, list[int]] = {}
    end = time.monotonic() + seconds
    with steps.measure("reviews/aspects", "text") as report:
        for start in range(0, min(len(clauses), MOST_CLAUSES), _TOGETHER):
            part = clauses[start : min(start + _TOGETHER, MOST_CLAUSES)]
            left = end - time.monotonic()
            reply = await mesh.classify_texts([clause.text for clause in part], aspects, 1, left)
            describe_model(report, reply.report)
            for place, result in enumerate(reply.results, start):
                if result.labels and result.labels[0].score >= _FITS:
                    found.setdefault(result.labels[0].label, []).append(place)
    return found
