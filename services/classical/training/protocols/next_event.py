"""Protocols with one event to predict for each user: the newest, or the first after a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.classical.training.dataset import Interactions
from services.classical.training.evaluation import Ranks, gains
from services.classical.training.histories import Positions
from services.classical.training.offline_recommender import target_ranks
from services.classical.training.options import FitOptions
from services.classical.training.protocols.fits import Content, Tags, fit_once
from services.classical.training.protocols.outcome import STACK, Outcome, validation_figures
from services.classical.training.rankers import RANKERS

METRICS = ("HR@10", "NDCG@10")


def leave_one_out(
    data: Interactions, content: Content, tags: Tags, options: FitOptions, root: Path, seeds: tuple[int, ...]
) -> Outcome:
    """Predicts each user's newest event from those before, ranked among all unseen items.

    Events with equal times are put into a random order for each seed; values are means over the seeds. The fit knows
    what others did later, which flatters every system.
    """
    runs, manifests = [], []
    for seed in seeds:
        shuffled = data.with_shuffled_ties(seed)
        known = shuffled.without_newest(np.where(shuffled.lengths < 2, shuffled.lengths, 0))
        fitted = fit_once(root, known.without_newest(1), content, tags, options)
        manifests.append(fitted.manifest)
        with_events = known.lengths > 0
        positions = Positions(known.offsets[:-1][with_events], known.offsets[1:][with_events] - 1)
        runs.append(target_ranks(fitted.recommender, known, _unseen(known, positions)))
    return _outcome("leave-one-out", runs, manifests)


def global_time(
    data: Interactions, content: Content, tags: Tags, options: FitOptions, root: Path, share: float = 0.1
) -> Outcome:
    """Predicts each user's first new event within the last `share` of all events by time, from what everybody did
    before.

    Nothing of the future leaks. Users without an event before have no history and are left out.
    """
    cut = np.quantile(data.times, 1 - share)
    before = data.times < cut
    counts = np.add.reduceat(np.append(before, False).astype(np.int64), data.offsets[:-1])
    counts[data.lengths == 0] = 0
    fitted = fit_once(root, data.without_newest(data.lengths - counts), content, tags, options)
    starts, ends = data.offsets[:-1], data.offsets[:-1] + counts
    usable = (counts > 0) & (counts < data.lengths)
    positions = _unseen(data, Positions(starts[usable], ends[usable]))
    return _outcome("global time", [target_ranks(fitted.recommender, data, positions)], [fitted.manifest])


def _unseen(data: Interactions, positions: Positions) -> Positions:
    """Leaves out positions whose event is no target: a dislike, or an item that was had before."""
    worth = data.first_positive()
    return positions.take(worth[positions.ends])


def _outcome(protocol: str, runs: Sequence[Mapping[str, Ranks]], manifests: Sequence[Mapping[str, Any]]) -> Outcome:
    measures: tuple[Callable[[Ranks], Ranks], ...] = (lambda ranks: (ranks < 10).astype(np.float64), gains)
    users = min(len(run[STACK]) for run in runs)
    names = [STACK, *(name for name in runs[0] if name != STACK)]
    values = {
        name: np.stack([np.mean([measure(run[name][:users]) for run in runs], axis=0) for measure in measures])
        for name in names
    }
    return Outcome(protocol, METRICS, values, frozenset(RANKERS), validation_figures(manifests))
