"""Ranking: the bundle's ranker orders the candidates; without it, the mean of their sources' scores does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.common.v1 import candidate_pb2
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.sources.source import Candidates, SourceInput
from services.orchestrator.recommend.sources.tastes import TASTES
from services.orchestrator.recommend.sources.trending import TRENDING
from services.orchestrator.recommend.steps import StepLog, describe_model

_MAXIMUM_RANKED = 1_000
IMPERSONAL = (TASTES, POPULARITY, TRENDING)
"""Sources that know nothing of the person's history, those that count most first."""


@dataclass(frozen=True)
class ScoredItem:
    """A candidate with its final score; `evidence` is what the ranker said about it, None when the fallback ordered
    it.
    """

    item_id: str
    score: float
    evidence: pb.RankedCandidate | None = None


async def rank(
    mesh: Mesh,
    request: SourceInput,
    candidates: Candidates,
    reason_count: int,
    explained_count: int,
    steps: StepLog,
    seconds: float,
    *,
    weights: Mapping[str, float] | None = None,
    result_count: int = 0,
) -> list[ScoredItem]:
    """Return the best `result_count` candidates, all of them when it is 0, best first; `weights` of sources count where
    the ranker does not answer.
    """
    item_ids = candidates.item_ids()[:_MAXIMUM_RANKED]
    if request.bundle is None or not request.history or not item_ids:
        why = (
            "no bundle is loaded"
            if request.bundle is None
            else "the user has no history"
            if item_ids
            else "no candidates"
        )
        steps.skip("rank", "classical", why)
        return by_sources(candidates, weights)
    with steps.measure("rank", "classical") as report:
        answer = await mesh.rank_candidates(
            pb.RankCandidatesRequest(
                tenant=request.tenant,
                bundle_version=request.bundle.version,
                history=[
                    candidate_pb2.HistoryItem(item_id=event.item_id, weight=event.weight) for event in request.history
                ],
                item_ids=item_ids,
                contribution_count=max(1, reason_count),
                explained_count=explained_count,
                ranker=request.ranker,
                result_count=result_count,
            ),
            seconds,
        )
        describe_model(report, answer.report)
        ranked = [ScoredItem(found.item_id, found.linear_score, found) for found in answer.candidates]
        if ranked:
            return ranked
        report.detail = "the ranker knows none of the candidates; they keep the order of their sources"
    return by_sources(candidates, weights)


def by_sources(candidates: Candidates, weights: Mapping[str, float] | None = None) -> list[ScoredItem]:
    """Order candidates by the mean of their standardised scores over the personal sources, then by popularity.

    An item that a source did not propose gets that source's lowest score, because it is not better than that.
    """
    personal = {source: scores for source, scores in candidates.by_source.items() if source not in IMPERSONAL}
    popular = _impersonal(candidates)
    if not personal:
        return [ScoredItem(item_id, score) for item_id, score in popular.items()]
    scored = mean_scores(personal, weights)
    rest = [item_id for item_id in popular if item_id not in scored]
    floor = min(scored.values())
    ordered = sorted(scored, key=lambda item_id: -scored[item_id])
    # Popular items that nobody proposed personally follow behind, in their own order. All of them lie within one
    # standard deviation, or the differences between the personal ones would vanish when re-ranking scales the scores.
    return [ScoredItem(item_id, scored[item_id]) for item_id in ordered] + [
        ScoredItem(item_id, floor - place / len(rest)) for place, item_id in enumerate(rest, start=1)
    ]


def _impersonal(candidates: Candidates) -> dict[str, float]:
    """Join the sources that know nothing of the person: stated tastes, then what is popular, then what trends.

    Popular items keep their scores; those of the others lie above and below them, within one of each other.
    """
    wished, popular, trends = (candidates.by_source.get(source, {}) for source in IMPERSONAL)
    top, floor = max(popular.values(), default=0.0), min(popular.values(), default=0.0)
    late = [item_id for item_id in trends if item_id not in popular]
    scores = {item_id: top + 1 - place / len(wished) for place, item_id in enumerate(wished)}
    scores.update((item_id, score) for item_id, score in popular.items() if item_id not in scores)
    scores.update(
        (item_id, floor - place / len(late)) for place, item_id in enumerate(late, start=1) if item_id not in scores
    )
    return scores


def mean_scores(
    by_source: Mapping[str, Mapping[str, float]], weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the weighted mean score of each item over the sources; a source that is not named weighs 1."""
    floors = {source: min(scores.values()) for source, scores in by_source.items() if scores}
    weighed = {source: (weights or {}).get(source, 1.0) for source in floors}
    total = sum(weighed.values()) or 1.0
    shares = {source: weight / total for source, weight in weighed.items()}
    item_ids: Sequence[str] = list(dict.fromkeys(item_id for scores in by_source.values() for item_id in scores))
    return {
        item_id: sum(shares[source] * by_source[source].get(item_id, floor) for source, floor in floors.items())
        for item_id in item_ids
    }
