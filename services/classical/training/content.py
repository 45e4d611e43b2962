"""Content scorers: items whose vectors lie near those of the history. They are what a new item can be found by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.classical.training.dataset import Floats, Integers
from services.classical.training.options import ContentOptions
from services.classical.training.scorers import FactoredScorer


class ContentVectors(NamedTuple):
    """Vectors of some items, made by a model service.

    Attributes:
        service: The service that serves the scorer: "text", "vision" or "classical".
        rows: int64[M], the items' rows, without repeats.
        vectors: float32[M, D].
    """

    service: str
    rows: Integers
    vectors: Floats


def fit_content(content: ContentVectors, item_count: int, options: ContentOptions) -> FactoredScorer:
    """Scores by cosine after the mean vector is taken away; an item without a vector scores zero, like an average one.

    Taking the mean away matters: what all vectors of a catalogue share says nothing about taste.

    Raises:
        ValueError: Rows and vectors do not fit each other or the catalogue, or a vector is not finite.
    """
    rows, vectors = np.asarray(content.rows), np.asarray(content.vectors, np.float32)
    if vectors.ndim != 2 or rows.shape != vectors.shape[:1]:
        raise ValueError(f"{rows.shape} rows and {vectors.shape} vectors do not fit each other")
    if len(np.unique(rows)) != len(rows) or not ((rows >= 0) & (rows < item_count)).all():
        raise ValueError(f"the rows of content vectors must be different and within 0 to {item_count - 1}")
    if not np.isfinite(vectors).all():
        raise ValueError("a content vector is not finite")
    factors = np.zeros((item_count, vectors.shape[1]), np.float32)
    if len(rows):
        centred = vectors - vectors.mean(axis=0)
        factors[rows] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return FactoredScorer(factors, factors, options.decay, options.window)


def tag_vectors(item_tags: Sequence[Sequence[str]]) -> ContentVectors:
    """Turns tags (genres, for example) into one vector an item: 1 for each tag it has; items without tags have none."""
    tags = sorted({tag for tags in item_tags for tag in tags})
    columns = {tag: column for column, tag in enumerate(tags)}
    rows = [row for row, tags in enumerate(item_tags) if tags]
    vectors = np.zeros((len(rows), len(tags)), np.float32)
    for place, row in enumerate(rows):
        vectors[place, [columns[tag] for tag in item_tags[row]]] = 1
    return ContentVectors("classical", np.array(rows, np.int64), vectors)
