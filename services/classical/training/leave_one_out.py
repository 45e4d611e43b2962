"""Measures the recommender by leave-one-out: `python -m services.classical.training.leave_one_out FILE`.

Each user's newest event is the test position, the one before it the validation position. A bundle is fitted on what
comes before the position, loaded from its folder, and asked to rank every unseen item. Events with equal times are
put into a random order, once for each tie seed; what is reported is the mean over the seeds. Choices are made on the
validation position only.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.classical.training.bundle import fit_bundle
from services.classical.training.dataset import Event, Interactions
from services.classical.training.evaluation import Ranks, gains, paired_bootstrap, quality
from services.classical.training.histories import Positions
from services.classical.training.offline_recommender import OfflineRecommender, target_ranks
from services.classical.training.options import FitOptions
from services.classical.training.rankers import RANKERS

NEWEST_LEFT_OUT = {"test": 0, "validation": 1}


def rating_weight(rating: float) -> float:
    """Event weight of a rating of 1 to 5: .6 to 1. A low rating still says what kind of item the user picks."""
    return 0.5 + rating / 10


def read_ratings(path: Path) -> Interactions:
    """Reads a tab-separated file with a header and columns user, item, rating 1 to 5, seconds since 1970."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t")
        next(lines)
        events = [
            Event(user, item, float(seconds), rating_weight(float(rating)), number)
            for number, (user, item, rating, seconds) in enumerate(lines, start=1)
        ]
    return Interactions.from_events(events, sorted({event.item_id for event in events}))


def measure(
    interactions: Interactions, position: str, options: FitOptions, root: Path, version: str
) -> dict[str, Ranks]:
    """Fits a bundle on what comes before the position and ranks it: scorer name and `ranker` to float64[U]."""
    known = interactions.without_newest(NEWEST_LEFT_OUT[position])
    known = known.without_newest(np.where(known.lengths < 2, known.lengths, 0))
    fit_bundle(known.without_newest(1), root, tenant="evaluation", version=version, options=options)
    with_events = known.lengths > 0
    starts, ends = known.offsets[:-1][with_events], known.offsets[1:][with_events] - 1
    return target_ranks(OfflineRecommender(root / "evaluation" / version), known, Positions(starts, ends))


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads a file of ratings and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ratings", type=Path, help="tab-separated: user, item, rating, seconds since 1970; with header")
    parser.add_argument("--position", choices=NEWEST_LEFT_OUT, default="validation")
    parser.add_argument("--tie-seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seed", type=int, default=FitOptions().seed)
    chosen = parser.parse_args(arguments)
    interactions = read_ratings(chosen.ratings)
    collected: dict[str, list[Ranks]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for tie_seed in chosen.tie_seeds:
            started = time.perf_counter()
            shuffled = interactions.with_shuffled_ties(tie_seed)
            ranks = measure(shuffled, chosen.position, FitOptions(seed=chosen.seed), Path(folder), f"ties-{tie_seed}")
            figures = ", ".join(_format(name, values) for name, values in ranks.items())
            print(f"tie seed {tie_seed} ({time.perf_counter() - started:.1f} s): {figures}")
            for name, values in ranks.items():
                collected.setdefault(name, []).append(values)
    print(f"\n{chosen.position} position, mean of tie seeds {chosen.tie_seeds}, HR@10/NDCG@10")
    rankers = {"ranker", *RANKERS}
    best = max(
        (name for name in collected if name not in rankers), key=lambda name: _mean_gains(collected[name]).mean()
    )
    for name, runs in collected.items():
        figures = np.mean([quality(values) for values in runs], axis=0)
        print(f"  {name:<16} {figures[0]:.4f} / {figures[1]:.4f}")
    difference = paired_bootstrap(_mean_gains(collected["ranker"]), _mean_gains(collected[best]))
    print(
        f"ranker against {best}, NDCG@10: {difference.mean:+.4f}, "
        f"95 % interval over users {difference.low:+.4f} to {difference.high:+.4f}"
    )


def _mean_gains(runs: Sequence[Ranks]) -> Ranks:
    """NDCG@10 of each user, mean over the tie seeds."""
    return np.mean([gains(values) for values in runs], axis=0)


def _format(name: str, ranks: Ranks) -> str:
    figures = quality(ranks)
    return f"{name} {figures.hit_rate:.4f}/{figures.ndcg:.4f}"


if __name__ == "__main__":
    main()
