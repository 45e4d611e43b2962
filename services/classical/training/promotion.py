"""Whether a new fit may take the place of the serving bundle: both are asked for what users did since that was
fitted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.classical.training.dataset import Integers, Interactions
from services.classical.training.evaluation import Difference, Quality, Ranks, gains, paired_bootstrap, quality
from services.classical.training.histories import Positions
from services.classical.training.offline_recommender import OfflineRecommender

FEWEST_USERS = 20
"""Fewer say nothing: the interval would hold everything."""
MOST_USERS = 2_000
_TENANT, _VERSION = "comparison", "new"

FitTo = Callable[[Interactions, Path, str, str], object]
"""Fits a bundle on events and writes it to a root, under a tenant and version."""


@dataclass(frozen=True)
class Verdict:
    """How a new fit did against the serving bundle on the held-out tail.

    Attributes:
        users: users whose newest event, later than all that the serving bundle has seen, was to be predicted.
        ours: quality of a fit without that tail.
        theirs: quality of the serving bundle.
        difference: of NDCG@10, with the 95 % interval of a paired bootstrap; None when there was too little to compare.
    """

    users: int
    ours: Quality
    theirs: Quality
    difference: Difference | None

    @property
    def worse(self) -> bool:
        """Whether the new fit is worse by more than chance."""
        return self.difference is not None and self.difference.high < 0


def compare_with_serving(interactions: Interactions, serving: Path, fit: FitTo, seed: int = 1) -> Verdict:
    """Fits without the tail and ranks the tail with both.

    The tail is the newest event of each user that is later than the serving bundle's watermark and an item that the
    user had not had before. Neither side has seen it: the serving bundle because it is older, the new fit because it
    is left out. What others did since the watermark, the new fit may know: that is what a refit is for.

    Args:
        interactions: All events up to now.
        serving: Folder of the serving bundle.
        fit: Fits the new bundle.
        seed: Seeds the choice of users where there are very many.
    """
    recommender = OfflineRecommender(serving)
    tail = tail_positions(interactions, recommender.watermark, seed)
    nothing = Quality(0.0, 0.0)
    if len(tail) < FEWEST_USERS:
        return Verdict(len(tail), nothing, nothing, None)
    left_out = np.zeros(interactions.user_count, np.int64)
    users = np.searchsorted(interactions.offsets, tail.starts, side="right") - 1
    left_out[users] = interactions.offsets[users + 1] - tail.ends
    with tempfile.TemporaryDirectory() as folder:
        fit(interactions.without_newest(left_out), Path(folder), _TENANT, _VERSION)
        ours = ranks_by_bundle(OfflineRecommender(Path(folder) / _TENANT / _VERSION), interactions, tail)
    theirs = ranks_by_bundle(recommender, interactions, tail)
    difference = paired_bootstrap(gains(ours), gains(theirs), seed)
    return Verdict(len(tail), quality(ours), quality(theirs), difference)


def tail_positions(interactions: Interactions, watermark: int, seed: int) -> Positions:
    """Returns, for each user with one, the newest event after a watermark that is worth predicting and has a past."""
    worth = interactions.first_positive() & (interactions.sequences > watermark)
    worth[interactions.offsets[:-1][interactions.lengths > 0]] = False
    chosen = np.flatnonzero(worth)
    users = interactions.users[chosen]
    # Events are sorted by user and time, so the last of a user's run is the newest.
    newest = chosen[np.append(users[1:] != users[:-1], True)] if len(chosen) else chosen
    if len(newest) > MOST_USERS:
        newest = np.sort(np.random.default_rng(seed).choice(newest, MOST_USERS, replace=False))
    return Positions(interactions.offsets[interactions.users[newest]], newest)


def ranks_by_bundle(recommender: OfflineRecommender, interactions: Interactions, positions: Positions) -> Ranks:
    """Ranks the event at each position's end by the bundle's default ranker, among its own items but the seen ones.

    The bundle may know other items than the events: unknown ones are left out of histories, and an unknown target has
    infinite rank, because the bundle cannot propose it.
    """
    known = {item_id: row for row, item_id in enumerate(recommender.item_ids)}
    rows = np.array([known.get(item_id, -1) for item_id in interactions.item_ids], np.int64)
    ranks = [
        _rank(recommender, rows, interactions, int(start), int(end))
        for start, end in zip(positions.starts, positions.ends, strict=True)
    ]
    return np.array(ranks, np.float64)


def _rank(recommender: OfflineRecommender, rows: Integers, interactions: Interactions, start: int, end: int) -> float:
    target = rows[interactions.items[end]]
    history = rows[interactions.items[start:end]]
    usable = history >= 0
    if target < 0:
        return float("inf")
    _, candidates, logits = recommender.score(history[usable], interactions.weights[start:end][usable])
    place = np.flatnonzero(candidates == target)
    if not len(place):
        return float("inf")
    scores = logits[recommender.default_ranker]
    own = scores[place[0]]
    return float((scores > own).sum() + ((scores == own).sum() - 1) / 2)
