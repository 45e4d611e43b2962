"""Moves candidates by what the caller and the user wish, after ranking and before re-ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy

from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.steering import Steering

TOP_PLACES = 10
"""Places of a list that count as seen by the user."""


def adjust(
    ranked: Sequence[ScoredItem], snapshot: CatalogSnapshot, steering: Steering, shown: Mapping[str, int]
) -> list[ScoredItem]:
    """Return the candidates in their new order.

    The score of each becomes score + Σ (weight - 1) · contribution of each weighted source + σ · (boosts of the item
    and of its tags - fatigue · log2(1 + times shown)), where σ is the standard deviation of the candidates' scores
    before.

    Args:
        ranked: candidates, best first.
        snapshot: the catalogue.
        steering: what is wished.
        shown: how often each item stood on top of a list of late.
    """
    moves = steering.item_boosts or steering.tag_boosts or (steering.fatigue and shown)
    if not ranked or not (moves or steering.source_weights):
        return list(ranked)
    scores = numpy.array([item.score for item in ranked], numpy.float64)
    unit = float(scores.std()) or 1.0
    for place, item in enumerate(ranked):
        scores[place] += _source_shift(item, steering.source_weights)
        scores[place] += unit * _boost(item.item_id, snapshot, steering)
        if steering.fatigue and item.item_id in shown:
            scores[place] -= unit * steering.fatigue * float(numpy.log2(1 + shown[item.item_id]))
    order = numpy.argsort(-scores, kind="stable").tolist()
    return [replace(ranked[place], score=float(scores[place])) for place in order]


def times_on_top(lists: Iterable[Sequence[str]]) -> Counter[str]:
    """Count how often each item stood among the first places of lists of item ids."""
    return Counter(item_id for item_ids in lists for item_id in item_ids[:TOP_PLACES])


def _source_shift(item: ScoredItem, weights: Mapping[str, float]) -> float:
    """Return what weighting the sources changes about a score that is a sum over features."""
    if not weights or item.evidence is None:
        return 0.0
    popular = weights.get(POPULARITY, 1.0)
    return sum(
        ((popular if term.feature.startswith(POPULARITY) else weights.get(term.feature, 1.0)) - 1.0) * term.contribution
        for term in item.evidence.features
    )


def _boost(item_id: str, snapshot: CatalogSnapshot, steering: Steering) -> float:
    total = steering.item_boosts.get(item_id, 0.0)
    row = snapshot.rows.get(item_id)
    if row is not None and steering.tag_boosts:
        total += sum(steering.tag_boosts.get(tag.casefold(), 0.0) for tag in snapshot.tags[row])
    return total
