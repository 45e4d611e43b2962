"""Part of an index: the words of some items and how much each counts for each, never changed once it is made.

Words count as in BM25F (Robertson, Zaragoza and Taylor, "Simple BM25 extension to multiple weighted fields", CIKM
2004): the frequencies of a word in the fields of an item are put against the fields' lengths, weighted and added up;
the sum saturates once, for all fields together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.orchestrator.search.vocabulary import Vocabulary
from services.orchestrator.search.words import terms_of

Floats = npt.NDArray[np.float32]
Documents = npt.NDArray[np.int32]

FIELDS = ("title", "tags", "description", "year")
FIELD_WEIGHTS = (3.0, 1.5, 1.0, 1.0)
_LENGTH_SHARES = (0.6, 0.3, 0.75, 0.0)
"""How much the length of each field counts against it, 0 to 1."""
SATURATION = 1.2
"""BM25's k1: how soon more of the same word counts no more."""
MOST_TERMS = 2_000
"""Words of one item at most; the end of a longer description is not found by its words."""


@dataclass(frozen=True, slots=True)
class Document:
    """What an item is found by."""

    item_id: str
    title: str
    tags: tuple[str, ...]
    description: str
    release_year: int

    def fields(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """Return the words of each field, in the order of `FIELDS`."""
        year = [str(self.release_year)] if self.release_year else []
        tags = [term for tag in self.tags for term in terms_of(tag)]
        return terms_of(self.title), tags, terms_of(self.description)[:MOST_TERMS], year


@dataclass(frozen=True)
class Segment:
    """Some items' words.

    Attributes:
        terms: place of each word.
        starts: int64[T + 1], where each word's entries begin.
        documents: int32[P], for each entry the item, by its place in this segment; ascending within a word.
        weights: float32[P], how much the word counts there, 0 to 1, before its rarity.
        item_ids: the items.
        mean_lengths: of each field, in words.
    """

    terms: dict[str, int]
    starts: npt.NDArray[np.int64]
    documents: Documents
    weights: Floats
    item_ids: tuple[str, ...]
    mean_lengths: tuple[float, ...]

    def entries(self, term: str) -> tuple[Documents, Floats]:
        """Return the items that hold a word, and how much it counts in each."""
        place = self.terms.get(term)
        if place is None:
            return _NO_DOCUMENTS, _NO_WEIGHTS
        chosen = slice(self.starts[place], self.starts[place + 1])
        return self.documents[chosen], self.weights[chosen]

    def frequency(self, term: str) -> int:
        """Return how many items hold a word."""
        place = self.terms.get(term)
        return 0 if place is None else int(self.starts[place + 1] - self.starts[place])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Its words, for beginnings and typing errors."""
        counts = np.diff(self.starts).tolist()
        return Vocabulary({term: counts[place] for term, place in self.terms.items()})

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self.documents.nbytes + self.weights.nbytes + self.starts.nbytes + 120 * len(self.terms)


def build_segment(documents: Sequence[Document], mean_lengths: Sequence[float] | None = None) -> Segment:
    """Return the words of items as a segment.

    Args:
        documents: the items.
        mean_lengths: mean words of each field in the catalogue; None takes those of these items.
    """
    terms: dict[str, int] = {}
    places: list[int] = []
    owners: list[int] = []
    fields: list[int] = []
    lengths = np.zeros((len(FIELDS), len(documents)), np.float32)
    for number, document in enumerate(documents):
        for field, words in enumerate(document.fields()):
            lengths[field, number] = len(words)
            if words:
                places.extend([terms.setdefault(word, len(terms)) for word in words])
                owners.extend([number] * len(words))
                fields.extend([field] * len(words))
    means = tuple(float(mean) for mean in lengths.mean(axis=1)) if documents and mean_lengths is None else mean_lengths
    means = tuple(means or (1.0,) * len(FIELDS))
    owner, field_of = np.array(owners, np.int64), np.array(fields, np.int64)
    share = np.array(_LENGTH_SHARES, np.float32)
    against = 1 - share[:, None] + share[:, None] * lengths / np.maximum(np.array(means, np.float32), 1e-6)[:, None]
    counts = np.array(FIELD_WEIGHTS, np.float32)[field_of] / np.maximum(against[field_of, owner], 1e-6)
    keys = np.array(places, np.int64) * max(1, len(documents)) + owner
    unique, inverse = np.unique(keys, return_inverse=True)
    sums = np.bincount(inverse, counts, minlength=len(unique)).astype(np.float32)
    term_of = unique // max(1, len(documents))
    starts = np.searchsorted(term_of, np.arange(len(terms) + 1))
    return Segment(
        terms,
        starts.astype(np.int64),
        (unique % max(1, len(documents))).astype(np.int32),
        sums / (SATURATION + sums),
        tuple(document.item_id for document in documents),
        means,
    )


_NO_DOCUMENTS: Documents = np.zeros(0, np.int32)
_NO_WEIGHTS: Floats = np.zeros(0, np.float32)
