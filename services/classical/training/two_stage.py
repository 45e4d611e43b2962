"""Fits both stages: the ranker on positions that its first stage has not seen, then the first stage on everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.classical.training.candidate_lists import CandidateLists, build_candidate_lists
from services.classical.training.dataset import Integers, Interactions
from services.classical.training.evaluation import Quality, Ranks, quality
from services.classical.training.first_stage import FirstStage, fit_first_stage
from services.classical.training.histories import Positions
from services.classical.training.options import FitOptions
from services.classical.training.rankers import Ranker, best_ranker, fit_rankers
from services.classical.training.scorers import FactoredScorer

Progress = Callable[[str, float], None]

LARGEST_SIDE_BY_SIDE = 5_000
"""Items up to which two first stages are fitted at once; beyond, their matrices could fill the memory."""

SHARE_OF_FIRST_STAGES = 0.9
"""Share of the whole fit's time, for progress."""


@dataclass(frozen=True)
class TwoStageFit:
    """Everything that a bundle holds, and how good an earlier fit of it was.

    Attributes:
        first_stage: Fitted on all events.
        rankers: Name to ranker, fitted on held-out positions; the one that serves by default comes first.
        validation: Name of a scorer, `popularity`, name of a ranker, and `ranker` for the default one, to its quality
            on the newest event of each user, by scorers that saw none of the held-out events and rankers that did not
            see this one.
        validated_users: Number of users that validation counts.
    """

    first_stage: FirstStage
    rankers: Mapping[str, Ranker]
    validation: Mapping[str, Quality]
    validated_users: int


def fit_two_stages(
    interactions: Interactions,
    content: Mapping[str, FactoredScorer],
    options: FitOptions,
    progress: Progress,
) -> TwoStageFit:
    """Fits the ranker on positions that an earlier first stage has not seen, and the first stage on everything.

    The two first stages are independent and are fitted side by side, each on one thread: faster than one after the
    other on two, and the result does not depend on the number of cores.
    """
    held_out = np.minimum(options.ranker.held_out, interactions.lengths // 2)
    report = _SharedProgress(progress)
    side_by_side = 2 if interactions.item_count <= LARGEST_SIDE_BY_SIDE else 1
    # Threads of OpenMP are limited for each thread that asks for them.
    with threadpool_limits(1), ThreadPoolExecutor(side_by_side, initializer=threadpool_limits, initargs=(1,)) as pool:
        fits = [
            pool.submit(fit_first_stage, events, content, options, report.part(number))
            for number, events in enumerate([interactions.without_newest(held_out), interactions])
        ]
        rankers, validation, users = _fit_rankers(fits[0].result(), interactions, held_out, options)
        return TwoStageFit(fits[1].result(), rankers, validation, users)


def _fit_rankers(
    earlier: FirstStage, interactions: Interactions, held_out: Integers, options: FitOptions
) -> tuple[dict[str, Ranker], dict[str, Quality], int]:
    """Fits the rankers; also some without the newest positions, to validate on those. Returns their number too."""
    positions, newest = _held_out_positions(interactions, held_out, options)
    count = options.ranker.candidates_per_scorer
    earlier_lists = build_candidate_lists(earlier, interactions, positions.take(~newest), count)
    newest_lists = build_candidate_lists(earlier, interactions, positions.take(newest), count)
    newcomer_lists = _newcomer_lists(earlier, interactions, positions.take(~newest), options)
    earlier_rankers = fit_rankers(join_lists([earlier_lists, newcomer_lists]), options.ranker, options.seed)
    ranks: dict[str, Ranks] = {
        name: newest_lists.ranks(ranker.logits(newest_lists.features)) for name, ranker in earlier_rankers.items()
    }
    validation = {name: quality(values) for name, values in {**newest_lists.scorer_ranks, **ranks}.items()}
    everything = join_lists([earlier_lists, newest_lists, newcomer_lists])
    rankers = fit_rankers(everything, options.ranker, options.seed)
    best = best_ranker({name: values for name, values in ranks.items() if name in rankers})
    validation["ranker"] = validation[best]
    return {best: rankers[best], **rankers}, validation, len(newest_lists)


def join_lists(parts: list[CandidateLists]) -> CandidateLists:
    """Puts lists with the same features one after the other."""
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    shifts = np.cumsum([0, *(len(part.features) for part in parts)])
    return CandidateLists(
        parts[0].names,
        np.concatenate([part.features for part in parts]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate(
            [np.where(part.targets < 0, -1, part.targets + shift) for part, shift in zip(parts, shifts, strict=False)]
        ),
        {name: np.concatenate([part.scorer_ranks[name] for part in parts]) for name in parts[0].scorer_ranks},
    )


def _held_out_positions(
    interactions: Interactions, held_out: Integers, options: FitOptions
) -> tuple[Positions, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Positions before held-out events that are worth predicting, and which of them are a user's newest event."""
    starts = np.repeat(interactions.offsets[:-1], interactions.lengths)
    stops = np.repeat(interactions.offsets[1:], interactions.lengths)
    events = np.arange(interactions.event_count, dtype=np.int64)
    unseen = events >= stops - np.repeat(held_out, interactions.lengths)
    chosen = np.flatnonzero(unseen & interactions.first_positive())
    if len(chosen) > options.ranker.most_lists:
        random = np.random.default_rng([options.seed, 1])
        chosen = np.sort(random.choice(chosen, options.ranker.most_lists, replace=False))
    return Positions(starts[chosen], events[chosen]), events[chosen] == stops[chosen] - 1


def _newcomer_lists(
    first_stage: FirstStage, interactions: Interactions, positions: Positions, options: FitOptions
) -> CandidateLists:
    """Some of the positions once more, seen through a history cut to 0 to 4 events."""
    random = np.random.default_rng([options.seed, 2])
    chosen = np.flatnonzero(random.random(len(positions)) < options.ranker.short_history_share)
    cut = random.integers(0, 5, len(chosen))
    return build_candidate_lists(
        first_stage, interactions, positions.take(chosen), options.ranker.candidates_per_scorer, cut
    )


class _SharedProgress:
    """Adds up the progress of the two first stages, which run in threads of their own."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = [0.0, 0.0]
        self._lock = threading.Lock()

    def part(self, number: int) -> Callable[[float], None]:
        """Returns the callback of one first stage."""

        def report(done: float) -> None:
            with self._lock:
                self._done[number] = done
                self._progress("scorers", SHARE_OF_FIRST_STAGES * sum(self._done) / len(self._done))

        return report
