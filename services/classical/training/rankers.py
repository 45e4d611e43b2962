"""The rankers of a bundle: each family fitted on the same lists, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.classical.training.candidate_lists import CandidateLists
from services.classical.training.evaluation import Ranks, gains, paired_bootstrap
from services.classical.training.linear_ranker import LinearRanker, fit_linear_ranker
from services.classical.training.options import RankerOptions
from services.classical.training.svm_ranker import fit_svm_ranker
from services.classical.training.tree_ranker import TreeRanker, fit_boosted, fit_forest

Ranker = LinearRanker | TreeRanker

LINEAR = "linear"

_FITS: Mapping[str, Callable[[CandidateLists, RankerOptions, int], Ranker | None]] = {
    LINEAR: lambda lists, options, seed: fit_linear_ranker(lists, options),
    "svm": fit_svm_ranker,
    "forest": fit_forest,
    "boosted": fit_boosted,
}


RANKERS = tuple(_FITS)
"""Every family of rankers."""


def fit_rankers(lists: CandidateLists, options: RankerOptions, seed: int) -> dict[str, Ranker]:
    """Fits the families that the options name, by name; one that cannot learn from so little data is left out."""
    fitted = {name: _FITS[name](lists, options, seed) for name in dict.fromkeys((LINEAR, *options.families))}
    return {name: ranker for name, ranker in fitted.items() if ranker is not None}


def best_ranker(ranks: Mapping[str, Ranks]) -> str:
    """Returns the ranker with the highest NDCG@10; another than the linear one only when it is better by more than
    chance, by the 95 % interval of a paired bootstrap over users: the linear one explains itself exactly.

    Args:
        ranks: Ranker name to float64[U], ranks of the held-out items of the same users; holds the linear one.
    """
    best = LINEAR
    for name, values in ranks.items():
        if not len(values) or name == best:
            continue
        if paired_bootstrap(gains(values), gains(ranks[best])).low > 0:
            best = name
    return best
