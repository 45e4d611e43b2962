"""Items that nobody has had yet, found by their content alone."""

from __future__ import annotations

import numpy as np

from services.classical.training.content import fit_content, tag_vectors
from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.histories import Positions
from services.classical.training.options import FitOptions
from services.classical.training.protocols.fits import Content, Tags
from services.classical.training.protocols.outcome import STACK, Outcome

METRICS = ("AUC", "NDCG@10")
RANDOM, OVERLAP = "random", "tag overlap"
_SHARE = 0.1
_DEPTH = 10


def cold_items(data: Interactions, content: Content, tags: Tags, options: FitOptions, seed: int = 1) -> Outcome:
    """Takes a tenth of the items out of everything; ranks them among themselves by content for those who had some.

    The whole is what the orchestrator's source of new items does: the sum of the cosines of texts and pictures;
    without those, tags alone. It is held against chance and against the share of tags in common with the history
    (Jaccard, mean over the history).

    Raises:
        ValueError: No item has content.
    """
    random = np.random.default_rng(seed)
    cold = np.zeros(data.item_count, np.bool_)
    cold[random.choice(data.item_count, max(2, int(data.item_count * _SHARE)), replace=False)] = True
    vectors = dict(content) | ({"tags": tag_vectors(tags)} if tags else {})
    scorers = {
        name: fit_content(one, data.item_count, options.content) for name, one in vectors.items() if len(one.rows)
    }
    if not scorers:
        raise ValueError("no item has a text, a picture or tags: nothing can be said about cold ones")
    kept = ~cold[data.items]
    warm = _only(data, kept)
    positions = Positions(warm.offsets[:-1], warm.offsets[1:])
    scores = {name: scorer.score(warm, positions)[:, cold] for name, scorer in scorers.items()}
    scores[STACK] = np.sum([scores[name] for name in content if name in scores] or list(scores.values()), axis=0)
    scores[RANDOM] = random.random((data.user_count, int(cold.sum()))).astype(np.float32)
    if tags:
        scores[OVERLAP] = _overlap(warm, tags, cold)
    places = np.cumsum(cold) - 1
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in scores}
    for user in range(data.user_count):
        had = data.items[data.offsets[user] : data.offsets[user + 1]]
        relevant = np.unique(places[had[cold[had]]])
        if len(relevant) and len(relevant) < cold.sum() and warm.lengths[user]:
            for name, all_scores in scores.items():
                values[name].append(_measure(all_scores[user], relevant))
    return Outcome("cold items", METRICS, {name: np.array(pairs).T for name, pairs in values.items()})


def _only(data: Interactions, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Interactions:
    """Returns some of the events; users keep their numbers."""
    counts = np.bincount(data.users[kept], minlength=data.user_count)
    return Interactions(
        data.item_ids,
        data.user_ids,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        data.items[kept],
        data.weights[kept],
        data.times[kept],
        data.sequences[kept],
    )


def _overlap(warm: Interactions, tags: list[list[str]], cold: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """float32[U, C]: mean Jaccard overlap of each cold item's tags with those of the history's items."""
    names = sorted({tag for one in tags for tag in one})
    marks = np.zeros((len(tags), len(names)), np.float32)
    for row, one in enumerate(tags):
        marks[row, [names.index(tag) for tag in one]] = 1
    common = marks @ marks[cold].T
    either = marks.sum(axis=1)[:, None] + marks[cold].sum(axis=1)[None] - common
    jaccard = common / np.maximum(either, 1)
    total = np.zeros((warm.user_count, int(cold.sum())), np.float32)
    np.add.at(total, warm.users, jaccard[warm.items])
    return np.asarray(total / np.maximum(warm.lengths, 1)[:, None], np.float32)


def _measure(scores: Floats, relevant: Integers) -> tuple[float, float]:
    """AUC (ties count half) and NDCG of the first ten."""
    others = np.delete(scores, relevant)
    own = scores[relevant][:, None]
    auc = float(((own > others).mean() + (own >= others).mean()) / 2)
    best = np.argsort(-scores, kind="stable")[:_DEPTH]
    hits = np.isin(best, relevant)
    discounts = 1 / np.log2(np.arange(_DEPTH) + 2)
    return auc, float(discounts[: len(hits)][hits].sum() / discounts[: min(_DEPTH, len(relevant))].sum())
