"""Builds the index that finds the best items of a factored scorer in a large catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np

from services.classical.training.dataset import Floats, Interactions
from services.classical.training.histories import Positions, decayed_histories
from services.classical.training.scorers import FactoredScorer

CHECKED = 200
"""Histories by which the recall of an index is measured."""

BEST = 100
_TRAINING_ROWS_A_LIST = 40


class IndexFacts(NamedTuple):
    """What a bundle's manifest says about an index.

    Attributes:
        lists: Clusters of items.
        probes: Clusters that a search looks into.
        recall: Share of the exactly best 100 items that it finds.
    """

    lists: int
    probes: int
    recall: float


def write_item_index(
    path: Path, scorer: FactoredScorer, interactions: Interactions, positions: Positions, least_recall: float, seed: int
) -> IndexFacts:
    """Clusters the candidate factors, stores them in half precision, and looks into as many clusters as it takes.

    An inverted file with scalar quantisation (Jégou et al., "Product Quantization for Nearest Neighbor Search", PAMI
    2011, describes the file) of Faiss, chosen for its filtered search: a request's mask goes into it. Scores are
    computed from the exact factors afterwards, so quantisation costs recall only, which is measured here.

    Args:
        path: File to write.
        scorer: The factors.
        interactions: Events of the histories.
        positions: Histories that recall is measured on.
        least_recall: Probes are doubled until this is reached.
        seed: Seeds the clustering.
    """
    factors = np.ascontiguousarray(scorer.candidate_factors, np.float32)
    count, width = factors.shape
    lists = max(1, round(4 * count**0.5))
    lists = min(lists, max(1, count // _TRAINING_ROWS_A_LIST))
    quantizer = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, width, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = seed
    index.cp.max_points_per_centroid = _TRAINING_ROWS_A_LIST
    index.train(factors)
    index.add(factors)
    users = _users(scorer, interactions, positions)
    least = _least_scores(users, factors)
    probes = 8
    while True:
        index.nprobe = min(probes, lists)
        recall = _recall(index, users, factors, least)
        if recall >= least_recall or probes >= lists:
            break
        probes *= 2
    faiss.write_index(index, str(path))
    return IndexFacts(lists, index.nprobe, recall)


def _users(scorer: FactoredScorer, interactions: Interactions, positions: Positions) -> Floats:
    """float32[P, D]: user vectors that are not zero."""
    histories = decayed_histories(interactions, positions, scorer.decay, scorer.window)
    users = np.asarray(histories @ scorer.history_factors, np.float32)
    return np.ascontiguousarray(users[np.abs(users).max(axis=1, initial=0) > 0])


def _least_scores(users: Floats, factors: Floats) -> Floats:
    """float32[P]: the score of each user's last of the best 100 items. One user at a time: all scores of all users
    would not fit.
    """
    best = min(BEST, len(factors))
    return np.array([np.partition(factors @ user, -best)[-best] for user in users], np.float32)


def _recall(index: faiss.IndexIVFScalarQuantizer, users: Floats, factors: Floats, least: Floats) -> float:
    """Share of the best places that go to items that deserve one; of equal items any will do."""
    if not len(users):
        return 1.0
    wanted = min(BEST, len(factors))
    # Serving asks for twice as many as it needs and orders them by exact scores.
    _, found = index.search(users, 2 * BEST)
    shares = []
    for user, rows, last in zip(users, found, least, strict=True):
        scores = factors[rows[rows >= 0]] @ user
        deserved = int((scores >= last - 1e-5 * abs(last)).sum())
        shares.append(min(deserved, wanted) / wanted)
    return float(np.mean(shares))
