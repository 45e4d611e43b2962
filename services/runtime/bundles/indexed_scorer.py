"""A history scorer of a large catalogue: an index proposes, the graph scores exactly."""

from __future__ import annotations

import numpy

from services.runtime.bundles.item_index import ItemIndex
from services.runtime.bundles.scorer import (
    NO_ROWS,
    SMALLEST_DEVIATION,
    Attribution,
    History,
    Mask,
    Rows,
    ScoredCandidates,
    attribution,
)
from services.runtime.engine import OnnxModel

EXACT_ROWS = 2_000
"""Up to this many allowed rows, all are scored: faster than a search through a filter that lets so little through."""

_NOTHING = ScoredCandidates(NO_ROWS, numpy.zeros(0, numpy.float32))


class IndexedScorer:
    """One candidate scorer of a bundle, like `HistoryScorer`.

    Args:
        name: of the scorer.
        model: a graph with the outputs user_vector, statistics, candidate_scores and contributions.
        index: of the same items.
    """

    def __init__(self, name: str, model: OnnxModel, index: ItemIndex) -> None:
        self.name = name
        self.item_count = index.item_count
        self._model = model
        self._index = index

    def top(self, history: History, excluded: Rows, allowed: Mask | None, count: int) -> ScoredCandidates:
        """Return about the best `count` rows that are allowed and not excluded, ordered by their exact scores; none
        when the history says nothing to this scorer.
        """
        outputs = self._run(history, NO_ROWS)
        mean, deviation = outputs["statistics"]
        if not deviation > SMALLEST_DEVIATION:
            return _NOTHING
        open_rows = numpy.ones(self.item_count, numpy.bool_) if allowed is None else allowed.copy()
        open_rows[excluded] = False
        if numpy.count_nonzero(open_rows) <= EXACT_ROWS:
            rows: Rows = numpy.flatnonzero(open_rows)
        else:
            rows = self._index.search(outputs["user_vector"], 2 * count, open_rows)
        scores = self._run(history, rows)["candidate_scores"]
        best = numpy.argsort(-scores, kind="stable")[:count]
        return ScoredCandidates(rows[best], ((scores[best] - mean) / deviation).astype(numpy.float32))

    def attribute(self, history: History, candidates: Rows) -> Attribution:
        """Return the raw scores of `candidates` and their exact decomposition over the history."""
        return attribution(self._run(history, candidates))

    def _run(self, history: History, candidates: Rows) -> dict[str, numpy.typing.NDArray[numpy.float32]]:
        outputs = self._model.run(
            {"history_rows": history.rows, "history_weights": history.weights, "candidate_rows": candidates}
        )
        return {name: values.astype(numpy.float32, copy=False) for name, values in outputs.items()}
