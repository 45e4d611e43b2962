"""Measure the recommender on MovieLens through the gRPC API: `make quality`."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.cli.movielens import MovieLens, fetch_movielens
from services.cli.movielens_small import fetch_movielens_small
from tests.quality.recommendation.mesh_run import SeedFigures, run_seed
from tests.quality.recommendation.protocols import check_protocols


class DataSet(NamedTuple):
    """Where the data comes from, and what HR@10 and NDCG@10 must not fall below."""

    fetch: Callable[[], MovieLens]
    hit_rate: float
    ndcg: float


DIVERSITIES = (0.1, 0.2, 0.3, 0.5)

DATA_SETS = {
    "100k": DataSet(fetch_movielens, 0.215, 0.120),
    "latest-small": DataSet(fetch_movielens_small, 0.155, 0.083),
}


def main() -> None:
    """Measure each tie seed and print the tables; exits with status 1 below the floors."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.recommendation", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="tie seeds; the figures are their mean")
    parser.add_argument("--data", choices=DATA_SETS, nargs="*", default=list(DATA_SETS), help="both unless named")
    parser.add_argument(
        "--protocols", action=argparse.BooleanOptionalAction, default=True, help="also the offline protocols, on 100k"
    )
    parser.add_argument("--with", dest="more", action="append", default=[], help="also fit this in the protocols")
    arguments = parser.parse_args()
    missed = [name for name in arguments.data if not _report(name, arguments.seeds)]
    if arguments.protocols:
        missed += check_protocols(fetch_movielens(), arguments.more, lambda step: print(step, flush=True))
    if missed:
        sys.exit(f"below the floors: {', '.join(missed)}")


def _report(name: str, seeds: Sequence[int]) -> bool:
    """Measure one data set and print its table; returns whether the floors hold."""
    floors = DATA_SETS[name]
    data = floors.fetch()
    measured = [_measure(data, seed) for seed in seeds]
    print(f"\nMovieLens {name}: leave-one-out by time, full ranking, through Recommend of a mesh with four processes")
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
    _print_diversity(measured)
    print(f"floors HR@10 {floors.hit_rate}, NDCG@10 {floors.ndcg}", flush=True)
    return hit_rate >= floors.hit_rate and ndcg >= floors.ndcg


def _measure(data: MovieLens, seed: int) -> SeedFigures:
    return run_seed(data, seed, lambda step: print(f"seed {seed}: {step}", flush=True), DIVERSITIES)


def _print_diversity(measured: Sequence[SeedFigures]) -> None:
    """Print what variety costs, against the ranker's own order."""
    plain = [one.ranked for one in measured]
    print("\n| diversity | NDCG@10 | against 0 | intra-list similarity of tags | against 0 | catalogue coverage@10 |")
    print("|---|---|---|---|---|---|")
    for value in (0.0, *DIVERSITIES):
        rows = [one.diverse[value] if value else one.ranked for one in measured]
        ndcg, similarity, coverage = (
            statistics.mean(getattr(row, name) for row in rows) for name in ("ndcg", "similarity", "coverage")
        )
        less = ndcg / statistics.mean(row.ndcg for row in plain) - 1
        unlike = similarity / statistics.mean(row.similarity for row in plain) - 1
        print(f"| {value} | {ndcg:.4f} | {less:+.1%} | {similarity:.3f} | {unlike:+.1%} | {coverage:.1%} |")


def _row(seed: str, users: int, *figures: float) -> str:
    return f"| {seed} | {users} | " + " | ".join(f"{figure:.4f}" for figure in figures) + " |"


if __name__ == "__main__":
    main()
