"""Explanations from the numbers that really decided: the ranker's score is a sum, and its largest terms are the
reasons.
"""

from __future__ import annotations

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.slots import PINNED
from services.orchestrator.recommend.sources.fresh import FreshItem
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.sources.tastes import TASTES
from services.orchestrator.recommend.sources.trending import TRENDING

# Below this share a term did not decide anything, and naming it would only look like a reason.
_SMALLEST_SHARE = 0.03


def explain(item: ScoredItem | FreshItem, sources: list[str], snapshot: CatalogSnapshot, count: int) -> list[pb.Reason]:
    """Return up to `count` reasons, strongest first."""
    if count == 0:
        return []
    if PINNED in sources:
        return [pb.Reason(kind=pb.REASON_KIND_PINNED, share=1.0, text="Placed here by the service")]
    if isinstance(item, FreshItem):
        return _explain_fresh(item, snapshot)[:count]
    if item.evidence is None:
        return _explain_without_ranker(sources)[:count]
    return _explain_ranked(item.evidence, snapshot, count)


def _explain_ranked(evidence: classical_pb.RankedCandidate, snapshot: CatalogSnapshot, count: int) -> list[pb.Reason]:
    popularity = sum(max(0.0, term.contribution) for term in evidence.features if term.feature.startswith(POPULARITY))
    total = evidence.positive_history_total + popularity
    if total <= 0:
        return [_popular(1.0)]
    reasons = [
        pb.Reason(
            kind=pb.REASON_KIND_HISTORY_ITEM,
            item_id=term.item_id,
            title=_title(term.item_id, snapshot),
            share=min(1.0, term.contribution / total),
            text=f"Because of {_title(term.item_id, snapshot)}",
        )
        for term in evidence.history
    ]
    if popularity > 0:
        reasons.append(_popular(min(1.0, popularity / total)))
    strong = [reason for reason in reasons if reason.share >= _SMALLEST_SHARE]
    return sorted(strong or reasons[:1], key=lambda reason: -reason.share)[:count]


def _explain_fresh(item: FreshItem, snapshot: CatalogSnapshot) -> list[pb.Reason]:
    new = pb.Reason(kind=pb.REASON_KIND_FRESH, share=1.0, text="New in the catalogue")
    if item.resembles is None:
        return [new]
    title = _title(item.resembles, snapshot)
    alike = pb.Reason(
        kind=pb.REASON_KIND_CONTENT,
        item_id=item.resembles,
        title=title,
        share=1.0,
        text=f"New, and it resembles {title}",
    )
    return [alike, new]


def _explain_without_ranker(sources: list[str]) -> list[pb.Reason]:
    if TASTES in sources:
        return [pb.Reason(kind=pb.REASON_KIND_TASTE, share=1.0, text="Of a kind that you like")]
    if set(sources) <= {POPULARITY, TRENDING}:
        return [_popular(1.0)]
    return [pb.Reason(kind=pb.REASON_KIND_CONTENT, share=1.0, text="Close to what you had before")]


def _popular(share: float) -> pb.Reason:
    return pb.Reason(kind=pb.REASON_KIND_POPULARITY, share=share, text="Popular with everyone")


def _title(item_id: str, snapshot: CatalogSnapshot) -> str:
    row = snapshot.rows.get(item_id)
    return item_id if row is None else snapshot.titles[row]
