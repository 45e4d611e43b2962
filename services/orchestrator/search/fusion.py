"""One score from words, meaning and taste.

A calibrated sum: both parts are shares of the best possible, whatever the query, so that they can be added and held
against thresholds. Measured against reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), which knows
places only; `docs/search.md` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Floats, Mask
from services.orchestrator.search.lexical import LexicalMatches

LEXICAL_SHARE = 0.7
LEAST_COVERAGE = 0.3
"""Share of the query's rarity that an item must have words for, to be found by words."""
_NEVER = 2.0


@dataclass(frozen=True)
class Floor:
    """From where on meaning alone finds an item.

    Attributes:
        cosine: what the item must reach, where the query means something to the catalogue.
        best_cosine: what the nearest item must reach for that.
    """

    cosine: float
    best_cosine: float


SENTENCES = Floor(0.3, 0.4)
"""For sentence vectors. To letters without meaning the nearest of 1,682 films reaches 0.38, to a business text 0.22, to
a description that fits 0.41 to 0.68.
"""
WORDS = Floor(0.2, 0.37)
"""For static word vectors. Nine in ten of the words without meaning stay below 0.36, as do business texts; half of the
descriptions of a kind of film reach 0.46.
"""


@dataclass(frozen=True)
class Relevance:
    """How well each of N items answers a query.

    Attributes:
        scores: float32[N], 0 to 1.
        lexical, semantic: float32[N], the parts.
        found: bool[N], what belongs into the list.
    """

    scores: Floats
    lexical: Floats
    semantic: Floats
    found: Mask


def fuse(
    lexical: LexicalMatches | None,
    cosines: Floats | None,
    allowed: Mask,
    lexical_share: float = LEXICAL_SHARE,
    floor: Floor = SENTENCES,
) -> Relevance:
    """Join the parts; None for a part that does not take part.

    Args:
        lexical: matches by words.
        cosines: float32[N] by meaning.
        allowed: bool[N], what passes the filter.
        lexical_share: weight of the words, 0 to 1, where both parts are there.
        floor: of the vectors that the cosines are of.
    """
    nothing = np.zeros(len(allowed), np.float32)
    words = nothing if lexical is None else lexical.scores
    by_words = np.zeros(len(allowed), np.bool_)
    if lexical is not None:
        by_words = (lexical.coverage >= LEAST_COVERAGE) & (words > 0)
    meaning = nothing if cosines is None else np.maximum(cosines, 0)
    by_meaning = meaning >= (floor.cosine if meaning.max(initial=0) >= floor.best_cosine else _NEVER)
    share = 1.0 if cosines is None else 0.0 if lexical is None else lexical_share
    scores = (share * words + (1 - share) * meaning).astype(np.float32)
    return Relevance(scores, words, nothing if cosines is None else cosines, allowed & (by_words | by_meaning))


def personalise(relevance: Floats, taste: Floats, weight: float) -> Floats:
    """Return the scores moved by taste: a factor from 1 - weight (fits least) to 1 + weight (fits best).

    Args:
        relevance: float32[N].
        taste: float32[N], 0 to 1; 0.5 says nothing.
        weight: 0 to 1.
    """
    return (relevance * (1 + weight * (2 * taste - 1))).astype(np.float32)


def best_rows(scores: Floats, found: Mask, snapshot: CatalogSnapshot, most: int) -> list[int]:
    """Return the rows of the best found, the better known first among equals, then in the order of the ids."""
    rows = np.flatnonzero(found)
    if len(rows) > 4 * most:
        # Ties at the edge are kept, so that popularity decides among all of them.
        edge = np.partition(scores[rows], len(rows) - most)[len(rows) - most]
        rows = rows[scores[rows] >= edge]
    order = np.lexsort((rows, -snapshot.popularity[rows], -np.round(scores[rows], 4)))
    return [int(row) for row in rows[order[:most]]]
