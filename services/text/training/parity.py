"""How far a graph's sentence vectors are from those of the original weights, and from themselves in other company."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.runtime.training.publish import cpu_session

LEAST_COSINE = 0.995
LEAST_NEIGHBOUR_COSINE = 0.9995
BATCH = 25

Floats = NDArray[np.float32]
TokenIds = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Parity:
    """Figures of one comparison.

    `least_cosine`, `low_cosine` (first percentile) and `mean_cosine` are to the original weights, one text a run.
    `neighbour_cosine` is the worst between a text alone and the same text in a padded batch with others.
    """

    texts: int
    least_cosine: float
    low_cosine: float
    mean_cosine: float
    neighbour_cosine: float

    @property
    def passed(self) -> bool:
        """Whether the graph may be published."""
        return self.least_cosine >= LEAST_COSINE and self.neighbour_cosine >= LEAST_NEIGHBOUR_COSINE


def measure_parity(graph: bytes, texts: TokenIds, reference: Floats) -> Parity:
    """Compares a graph with `reference`, float32 [texts, dimensions], the unit vectors of the original weights."""
    session = cpu_session(graph)
    alone = np.concatenate([vectors(session, [ids]) for ids in texts])
    # In the order they come, so that short texts are padded to the length of long ones.
    together = np.concatenate([vectors(session, batch) for batch in _batches(texts)])
    cosines = (alone * reference).sum(axis=1)
    return Parity(
        texts=len(texts),
        least_cosine=float(cosines.min()),
        low_cosine=float(np.quantile(cosines, 0.01)),
        mean_cosine=float(cosines.mean()),
        neighbour_cosine=float((alone * together).sum(axis=1).min()),
    )


def vectors(session: onnxruntime.InferenceSession, texts: TokenIds) -> Floats:
    """Runs the graph once on a padded batch: float32 [texts, dimensions]."""
    result: Floats = session.run(["vectors"], feeds(texts))[0]
    return result


def feeds(texts: TokenIds) -> dict[str, NDArray[Any]]:
    """Returns a padded batch of token ids as the graph's inputs, int64 [texts, longest text]."""
    width = max(len(ids) for ids in texts)
    input_ids = np.zeros((len(texts), width), np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, ids in enumerate(texts):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def _batches(texts: TokenIds) -> Iterator[TokenIds]:
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]
