"""What a protocol measured: one value a user for each metric and system, so that systems can be compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.classical.training.evaluation import Difference, paired_bootstrap

Values = NDArray[np.float64]
STACK = "ranker"
"""Name of the whole: all scorers and the default ranker."""


class Figure(NamedTuple):
    """A mean over users with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """Values of U users.

    Attributes:
        protocol: Name of the protocol.
        metrics: Names of the metrics; the last one decides which system is best.
        values: System to float64[M, U], one row a metric.
        baselines: Systems that are no candidates for the best single source, such as other rankers.
        validation: System to its figure on data that the fit held out itself, before any of these values was known;
            empty where nothing of the kind exists.
    """

    protocol: str
    metrics: tuple[str, ...]
    values: Mapping[str, Values]
    baselines: frozenset[str] = frozenset()
    validation: Mapping[str, float] = field(default_factory=dict)

    @property
    def users(self) -> int:
        """Number of users."""
        return int(self.values[STACK].shape[1])

    def figure(self, system: str, metric: int, seed: int = 0, rounds: int = 1_000) -> Figure:
        """Returns the mean of a metric with its interval by bootstrap over users."""
        values = self.values[system][metric]
        random = np.random.default_rng(seed)
        means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(rounds)]
        low, high = np.percentile(means, [2.5, 97.5])
        return Figure(float(values.mean()), float(low), float(high))

    def best_single(self) -> str:
        """Returns the best system but the whole and the baselines, by the last metric: known only in hindsight."""
        return max(self._singles(), key=lambda name: float(self.values[name][-1].mean()))

    def chosen_single(self) -> str | None:
        """Returns the single system that validation would have chosen, which is who the whole competes with."""
        known = [name for name in self._singles() if name in self.validation]
        return max(known, key=lambda name: self.validation[name]) if known else None

    def _singles(self) -> list[str]:
        return [name for name in self.values if name != STACK and name not in self.baselines]

    def gain(self, over: str) -> Difference:
        """Returns by how much the whole is better than a system in the last metric, with the interval over users."""
        return paired_bootstrap(self.values[STACK][-1], self.values[over][-1])


def validation_figures(manifests: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns NDCG@10 on validation by scorer, the mean over the manifests of several fits."""
    figures = [manifest["validation"]["figures"] for manifest in manifests]
    return {name: float(np.mean([one[name]["ndcg_10"] for one in figures])) for name in figures[0]}
