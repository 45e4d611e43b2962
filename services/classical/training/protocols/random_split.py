"""A random fifth of each user's items held out: how well a taste is completed, whatever the order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.options import FitOptions
from services.classical.training.protocols.fits import Content, Tags, fit_once
from services.classical.training.protocols.outcome import STACK, Outcome, Values, validation_figures
from services.classical.training.rankers import RANKERS

METRICS = ("Recall@20", "NDCG@20")
_DEPTH = 20
_HELD_OUT = 0.2
_WHOLE = 2_000
_CANDIDATES = 300


def without_recency(options: FitOptions) -> FitOptions:
    """Returns the options for a set of items without order: nothing fades, and everything counts.

    Chosen on a fifth of the known items of MovieLens-100K, before the held-out fifth was looked at.
    """
    flat: Any = {"decay": 1.0, "window": _WHOLE}
    return replace(
        options,
        ease=replace(options.ease, fit_decay=1.0, regularization=500.0, **flat),
        markov=replace(options.markov, fit_decay=1.0, fit_window=60, target_exponent=0.5, **flat),
        factors=replace(options.factors, epochs=8, weight_decay=1.0, **flat),
        ials=replace(options.ials, fit_decay=1.0, dimensions=64, regularization=30.0, **flat),
        item2vec=replace(options.item2vec, fit_decay=1.0, **flat),
        content=replace(options.content, **flat),
    )


def random_split(
    data: Interactions, content: Content, tags: Tags, options: FitOptions, root: Path, seed: int = 1
) -> Outcome:
    """Holds out a random fifth of each user's items; ranks all items that are not in the rest."""
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(data.event_count), data.users))
    mixed = replace(data, items=data.items[order], weights=data.weights[order], times=np.zeros(data.event_count))
    held = np.floor(mixed.lengths * _HELD_OUT).astype(np.int64)
    known = mixed.without_newest(held)
    fitted = fit_once(root, known, content, tags, without_recency(options), _CANDIDATES)
    recommender = fitted.recommender
    collected: dict[str, list[tuple[float, float]]] = {}
    for user in np.flatnonzero(held > 0):
        stop, end = mixed.offsets[user + 1] - held[user], mixed.offsets[user + 1]
        start = mixed.offsets[user]
        history, relevant = mixed.items[start:stop], np.setdiff1d(mixed.items[stop:end], mixed.items[start:stop])
        if not len(relevant):
            continue
        raw, rows, logits = recommender.score(history, mixed.weights[start:stop])
        for name, scores in raw.items():
            collected.setdefault(name, []).append(_measure(_top(scores, history), relevant))
        for name, given in logits.items():
            best = rows[np.argsort(-given, kind="stable")[:_DEPTH]]
            collected.setdefault(name, []).append(_measure(best, relevant))
            if name == recommender.default_ranker:
                collected.setdefault(STACK, []).append(_measure(best, relevant))
    values: dict[str, Values] = {name: np.array(pairs).T for name, pairs in collected.items()}
    return Outcome("random 80/20", METRICS, values, frozenset(RANKERS), validation_figures([fitted.manifest]))


def _top(scores: Floats, seen: Integers) -> Integers:
    unseen = scores.copy()
    unseen[seen] = -np.inf
    return np.argsort(-unseen, kind="stable")[:_DEPTH]


def _measure(best: Integers, relevant: Integers) -> tuple[float, float]:
    """Recall and NDCG of a list of 20; the ideal list begins with the relevant items."""
    hits = np.isin(best, relevant)
    discounts = 1 / np.log2(np.arange(_DEPTH) + 2)
    ideal = discounts[: min(_DEPTH, len(relevant))].sum()
    return float(hits.sum() / len(relevant)), float(discounts[: len(hits)][hits].sum() / ideal)
