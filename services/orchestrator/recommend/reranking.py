"""Re-ranking: the last word on what is shown. Guards what must not be shown, keeps the list varied, gives new items a
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy
import numpy.typing

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.slates import slate_size
from services.orchestrator.recommend.sources.fresh import FreshItem

_POOL_FACTOR = 5
_SMALLEST_POOL = 50
FRESH_EVERY = 10
"""One new item for each so many places."""
FRESH_PLACE = 4
"""Where in each such stretch, counted from 0: seen without scrolling, but not on top."""

Floats = numpy.typing.NDArray[numpy.float32]


def rerank(
    ranked: Sequence[ScoredItem],
    snapshot: CatalogSnapshot,
    allowed: Mask,
    diversity: float,
    page_size: int,
    novelty: float = 0.0,
) -> list[ScoredItem]:
    """Return up to `page_size` items that may be shown, by maximal marginal relevance.

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998: each place goes to the item with
    the largest
    (1 - diversity) · relevance - diversity · (likeness to what stands above it).

    Args:
        ranked: candidates, best first.
        snapshot: the catalogue.
        allowed: bool[N] over the snapshot.
        diversity: 0 keeps the order of `ranked`.
        page_size: items wanted.
        novelty: 0 to 1, the weight of how little known an item is, against its relevance.
    """
    showable = [item for item in ranked if _showable(item, snapshot, allowed)]
    if novelty:
        showable = _prefer_unknown(showable[: pool_size(page_size)], snapshot, novelty)
    if diversity == 0 or len(showable) <= 2:
        return showable[:page_size]
    pool = showable[: pool_size(page_size)]
    likeness = _likeness(pool, snapshot)
    relevance = _relevance(pool)
    chosen: list[int] = []
    closest = numpy.zeros(len(pool), numpy.float32)
    left = numpy.ones(len(pool), numpy.bool_)
    while len(chosen) < min(page_size, len(pool)):
        gain = numpy.where(left, (1 - diversity) * relevance - diversity * closest, -numpy.inf)
        best = int(gain.argmax())
        chosen.append(best)
        left[best] = False
        closest = numpy.maximum(closest, likeness[best])
    return [pool[place] for place in chosen]


def rerank_slate(
    ranked: Sequence[ScoredItem],
    new: Sequence[FreshItem],
    snapshot: CatalogSnapshot,
    allowed: Mask,
    diversity: float,
    page_size: int,
    novelty: float = 0.0,
) -> list[ScoredItem | FreshItem]:
    """Return all pages of a list. The first page is chosen as if there were no other; the rest follows by the same
    rule from what is left.

    Args:
        ranked: candidates, best first.
        new: new items, best fit first.
        snapshot: the catalogue.
        allowed: bool[N] over the snapshot.
        diversity: 0 keeps the order of `ranked`.
        page_size: items of a page.
        novelty: 0 to 1, the weight of how little known an item is, against its relevance.
    """
    first = place_fresh(rerank(ranked, snapshot, allowed, diversity, page_size, novelty), new, page_size)
    shown = {item.item_id for item in first}
    size = slate_size(page_size) - len(first)
    # No more than are placed: what is left is only put in order, in one pass.
    left = [item for item in ranked if item.item_id not in shown and _showable(item, snapshot, allowed)][:size]
    waiting = [item for item in new if item.item_id not in shown]
    return [*first, *place_fresh(rerank(left, snapshot, allowed, diversity, size, novelty), waiting, size)]


def _showable(item: ScoredItem, snapshot: CatalogSnapshot, allowed: Mask) -> bool:
    row = snapshot.rows.get(item.item_id)
    return row is not None and bool(allowed[row])


def pool_size(page_size: int) -> int:
    """Return how many of the best candidates re-ranking chooses from."""
    return max(_SMALLEST_POOL, _POOL_FACTOR * page_size)


def place_fresh(page: Sequence[ScoredItem], new: Sequence[FreshItem], page_size: int) -> list[ScoredItem | FreshItem]:
    """Give the best-fitting new items the fifth of every ten places; they also fill a page that is not full."""
    shown = {item.item_id for item in page}
    waiting = [item for item in new if item.item_id not in shown]
    mixed: list[ScoredItem | FreshItem] = list(page)
    for place in range(FRESH_PLACE, page_size, FRESH_EVERY):
        if waiting and place <= len(mixed):
            mixed.insert(place, waiting.pop(0))
    mixed.extend(waiting[: max(0, page_size - len(mixed))])
    return mixed[:page_size]


def _relevance(pool: Sequence[ScoredItem]) -> Floats:
    """Return scores scaled to 0…1, so that they can be weighed against likeness."""
    scores = numpy.array([item.score for item in pool], numpy.float32)
    span = scores.max() - scores.min()
    scaled: Floats = (scores - scores.min()) / span if span > 0 else numpy.ones(len(pool), numpy.float32)
    return scaled


def _prefer_unknown(pool: Sequence[ScoredItem], snapshot: CatalogSnapshot, novelty: float) -> list[ScoredItem]:
    """Return the pool with scores of (1 - novelty) · relevance + novelty · (1 - popularity), both scaled to 0…1, and in
    their order.
    """
    if not pool:
        return []
    known = snapshot.popularity[[snapshot.rows[item.item_id] for item in pool]]
    scores = (1 - novelty) * _relevance(pool) + novelty * (1 - known / max(float(snapshot.popularity.max()), 1e-9))
    order = numpy.argsort(-scores, kind="stable").tolist()
    return [replace(pool[place], score=float(scores[place])) for place in order]


def _likeness(pool: Sequence[ScoredItem], snapshot: CatalogSnapshot) -> Floats:
    """Return float32[P, P]: the mean of the text vectors' cosine and the overlap of the tags (Jaccard), 0…1."""
    rows = [snapshot.rows[item.item_id] for item in pool]
    tag_places: dict[str, int] = {}
    for row in rows:
        for tag in snapshot.tags[row]:
            tag_places.setdefault(tag.casefold(), len(tag_places))
    marks = numpy.zeros((len(rows), max(1, len(tag_places))), numpy.float32)
    for place, row in enumerate(rows):
        marks[place, [tag_places[tag.casefold()] for tag in snapshot.tags[row]]] = 1
    common = marks @ marks.T
    sizes = marks.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - common
    overlap = common / numpy.maximum(either, 1)
    vectors = snapshot.text.values[rows]
    cosine = numpy.clip(vectors @ vectors.T, 0, 1) if vectors.shape[1] else overlap
    likeness: Floats = ((overlap + cosine) / 2).astype(numpy.float32)
    return likeness
