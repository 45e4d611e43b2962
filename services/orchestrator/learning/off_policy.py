"""What another way of choosing would have earned, from what was shown by chance with known probability."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy
import numpy.typing

from services.orchestrator.learning.intervals import Z_95, Interval

Doubles = numpy.typing.NDArray[numpy.float64]


class UnusableLog(ValueError):
    """A log from which nothing can be estimated; the message says why."""


@dataclass(frozen=True)
class LoggedChoices:
    """N choices that were made by chance.

    Attributes:
        rewards: float64[N], what each earned, for example 1 for a click.
        propensities: float64[N], probability with which what was shown was chosen, above 0, at most 1.
        targets: float64[N], probability with which the other way would have chosen it, 0 to 1.
    """

    rewards: Doubles
    propensities: Doubles
    targets: Doubles

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            UnusableLog: lengths differ, nothing is there, or a number is out of its range.
        """
        if not self.rewards.shape == self.propensities.shape == self.targets.shape or self.rewards.ndim != 1:
            raise UnusableLog("rewards, propensities and targets must be rows of equal length")
        if not len(self.rewards):
            raise UnusableLog("nothing was chosen by chance, so nothing can be estimated")
        if not ((self.propensities > 0) & (self.propensities <= 1)).all():
            raise UnusableLog(
                "every propensity must be above 0 and at most 1: what could not be shown tells of nothing"
            )
        if not ((self.targets >= 0) & (self.targets <= 1)).all() or not numpy.isfinite(self.rewards).all():
            raise UnusableLog("targets must be probabilities, and rewards finite numbers")

    @property
    def weights(self) -> Doubles:
        """float64[N], how much likelier the other way was to choose what was shown."""
        return self.targets / self.propensities

    @property
    def effective_count(self) -> float:
        """Effective sample size by L. Kish, 1965: choices of equal weight that would tell as much."""
        total = float(self.weights.sum())
        return total**2 / float((self.weights**2).sum()) if total else 0.0


def inverse_propensity(log: LoggedChoices) -> Interval:
    """Estimate the mean reward of the other way without bias (D. Horvitz, D. Thompson, JASA 47, 1952), with an interval
    by the central limit theorem.
    """
    terms = log.weights * log.rewards
    count = len(terms)
    value = float(terms.mean())
    half = Z_95 * float(terms.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    return Interval(value, value - half, value + half, count)


def self_normalised(log: LoggedChoices) -> Interval:
    """Estimate the same divided by the sum of the weights (A. Swaminathan, T. Joachims, "The Self-Normalized Estimator
    for Counterfactual Learning", NIPS 2015): far less variance, and a bias that vanishes. Interval by the delta method.

    Raises:
        UnusableLog: the other way would have chosen none of what was shown.
    """
    weights, count = log.weights, len(log.rewards)
    total = float(weights.sum())
    if total == 0:
        raise UnusableLog("the other way would have shown nothing of what was shown")
    value = float((weights * log.rewards).sum()) / total
    spread = math.sqrt(float((weights**2 * (log.rewards - value) ** 2).sum())) / total
    half = Z_95 * spread * math.sqrt(count / (count - 1)) if count > 1 else math.inf
    return Interval(value, value - half, value + half, count)
