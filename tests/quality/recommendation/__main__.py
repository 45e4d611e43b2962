"""Measure the recommender on MovieLens-100K through the gRPC API: `make quality`."""

from __future__ import annotations

import argparse
import statistics
import sys

from services.cli.movielens import MovieLens, fetch_movielens
from tests.quality.recommendation.mesh_run import SeedFigures, run_seed

FLOOR_HIT_RATE = 0.215
FLOOR_NDCG = 0.12


def main() -> None:
    """Measure each tie seed and print the table; exits with status 1 below the floors."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.recommendation", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="tie seeds; the figures are their mean")
    arguments = parser.parse_args()
    data = fetch_movielens()
    measured = [_measure(data, seed) for seed in arguments.seeds]
    print("\nLeave-one-out by time, full ranking, through Recommend of a mesh with four processes")
    print("| tie seed | users | HR@10 | NDCG@10 | HR@10, default diversity | NDCG@10, default diversity |")
    print("|---|---|---|---|---|---|")
    for one in measured:
        print(
            _row(
                str(one.seed),
                one.ranked.users,
                one.ranked.hit_rate,
                one.ranked.ndcg,
                one.default.hit_rate,
                one.default.ndcg,
            )
        )
    hit_rate = statistics.mean(one.ranked.hit_rate for one in measured)
    ndcg = statistics.mean(one.ranked.ndcg for one in measured)
    print(
        _row(
            "mean",
            measured[0].ranked.users,
            hit_rate,
            ndcg,
            statistics.mean(one.default.hit_rate for one in measured),
            statistics.mean(one.default.ndcg for one in measured),
        )
    )
    if hit_rate < FLOOR_HIT_RATE or ndcg < FLOOR_NDCG:
        sys.exit(f"below the floors HR@10 {FLOOR_HIT_RATE}, NDCG@10 {FLOOR_NDCG}")


def _measure(data: MovieLens, seed: int) -> SeedFigures:
    return run_seed(data, seed, lambda step: print(f"seed {seed}: {step}", flush=True))


def _row(seed: str, users: int, *figures: float) -> str:
    return f"| {seed} | {users} | " + " | ".join(f"{figure:.4f}" for figure in figures) + " |"


if __name__ == "__main__":
    main()
