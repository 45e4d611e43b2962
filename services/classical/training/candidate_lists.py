"""What the ranker learns from: for many positions, the candidates of the first stage with their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classical.features import POPULARITY, SMALLEST_DEVIATION, feature_names, ranker_features
from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.evaluation import Ranks, rank_of_target
from services.classical.training.first_stage import FirstStage
from services.classical.training.histories import Positions

_SCORES_AT_ONCE = 4_000_000
"""Scores of one scorer that are kept at a time."""


@dataclass(frozen=True)
class CandidateLists:
    """L candidate lists, one after the other.

    Attributes:
        names: Feature names in column order.
        features: float32[R, F], all candidates of all lists.
        offsets: int64[L + 1]; candidates of list l are `offsets[l]:offsets[l + 1]`.
        targets: int64[L], index in `features` of the item that came next; -1 when no scorer proposed it.
        scorer_ranks: Scorer name (and `popularity`) to float64[L], the rank of that item among all unseen items.
    """

    names: tuple[str, ...]
    features: Floats
    offsets: Integers
    targets: Integers
    scorer_ranks: Mapping[str, Ranks]

    def __len__(self) -> int:
        """Number of lists."""
        return len(self.targets)

    def take(self, chosen: Integers) -> CandidateLists:
        """Returns the lists that an index array chooses, in its order."""
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][chosen] - offsets[:-1], sizes)
        targets = self.targets[chosen]
        return CandidateLists(
            self.names,
            self.features[rows],
            offsets,
            np.where(targets < 0, -1, targets - self.offsets[:-1][chosen] + offsets[:-1]),
            {name: ranks[chosen] for name, ranks in self.scorer_ranks.items()},
        )

    def ranks(self, scores: NDArray[np.floating]) -> Ranks:
        """Ranks the next item within its list by `scores` float[R]: float64[L], infinite where it is missing."""
        found = np.full(len(self), np.inf)
        for number in np.flatnonzero(self.targets >= 0):
            own = scores[self.offsets[number] : self.offsets[number + 1]]
            target = scores[self.targets[number]]
            found[number] = (own > target).sum() + ((own == target).sum() - 1) / 2
        return found


def build_candidate_lists(
    first_stage: FirstStage,
    interactions: Interactions,
    positions: Positions,
    candidates_per_scorer: int,
    cut: Integers | None = None,
) -> CandidateLists:
    """Scores each position's history and gathers the candidates.

    Args:
        first_stage: Scorers that have not seen the events at or after the positions.
        interactions: All events.
        positions: Histories; the event at `ends` is the item that came next.
        candidates_per_scorer: Best unseen items of each scorer, and most popular ones, in a list.
        cut: int64[P], newest events that the scorers may see of each history; all of them when None.
    """
    names = feature_names(tuple(first_stage.scorers))
    blocks, sizes, targets = [], [0], []
    ranks: dict[str, list[float]] = {name: [] for name in (*first_stage.scorers, POPULARITY)}
    visible = positions
    if cut is not None:
        visible = Positions(np.maximum(positions.starts, positions.ends - cut), positions.ends)
    size = max(1, _SCORES_AT_ONCE // interactions.item_count)
    for place in range(0, len(positions), size):
        chunk = slice(place, place + size)
        scores = first_stage.score(interactions, visible.take(chunk))
        statistics = {name: _statistics(all_scores) for name, all_scores in scores.items()}
        whole, shown = positions.take(chunk), visible.take(chunk)
        for number, (start, end) in enumerate(zip(whole.starts, whole.ends, strict=True)):
            seen, target = interactions.items[start:end], int(interactions.items[end])
            own = {name: all_scores[number] for name, all_scores in scores.items()}
            own_statistics = {name: values[number] for name, values in statistics.items()}
            for name, values in (*own.items(), (POPULARITY, first_stage.popularity)):
                ranks[name].append(rank_of_target(values, target, seen))
            rows = candidate_rows(
                [values for name, values in own.items() if own_statistics[name][1] > SMALLEST_DEVIATION],
                first_stage.popularity,
                seen,
                candidates_per_scorer,
            )
            found = np.flatnonzero(rows == target)
            targets.append(sizes[-1] + int(found[0]) if len(found) else -1)
            sizes.append(sizes[-1] + len(rows))
            blocks.append(
                ranker_features(
                    names,
                    {name: values[rows] for name, values in own.items()},
                    own_statistics,
                    first_stage.popularity[rows],
                    int(end - shown.starts[number]),
                )
            )
    return CandidateLists(
        names,
        np.concatenate(blocks) if blocks else np.zeros((0, len(names)), np.float32),
        np.array(sizes, np.int64),
        np.array(targets, np.int64),
        {name: np.array(values, np.float64) for name, values in ranks.items()},
    )


def candidate_rows(scores: Sequence[Floats], popularity: Floats, seen: Integers, count: int) -> Integers:
    """Joins the best `count` unseen rows by each array of scores float32[N], and by popularity; int64[C], sorted."""
    chosen = np.zeros(len(popularity), np.bool_)
    for values in (*scores, popularity):
        unseen = values.copy()
        unseen[seen] = -np.inf
        best = np.argpartition(-unseen, count)[:count] if count < len(unseen) else np.arange(len(unseen))
        chosen[best] = True
    chosen[seen] = False
    return np.flatnonzero(chosen)


def _statistics(scores: Floats) -> Floats:
    """float32[P, 2]: mean and standard deviation of each row, as the graphs compute them."""
    return np.stack([scores.mean(axis=1), scores.std(axis=1)], axis=1).astype(np.float32)
