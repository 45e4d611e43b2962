"""Intervals of shares, of their differences, and of paired ratios; with the standard library only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959963984540054
"""Half-width of a two-sided 95 % interval, in standard deviations."""
Z_999 = 3.290526731491926
"""The same of 99.9 %: for looks that are taken again and again."""


@dataclass(frozen=True)
class Interval:
    """A figure, the ends of its interval, and how many observations are behind it."""

    value: float
    low: float
    high: float
    count: int


def share(hits: int, count: int, z: float = Z_95) -> Interval:
    """Return a share with Wilson's score interval; 0 to 1 without observations."""
    if not count:
        return Interval(0.0, 0.0, 1.0, 0)
    rate, squared = hits / count, z * z
    centre = (rate + squared / (2 * count)) / (1 + squared / count)
    half = z / (1 + squared / count) * math.sqrt(rate * (1 - rate) / count + squared / (4 * count**2))
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half), count)


def difference(ours: Interval, theirs: Interval) -> Interval:
    """Return the difference of two independent shares with Newcombe's interval, built from Wilson's two."""
    value = ours.value - theirs.value
    low = value - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    high = value + math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Interval(value, low, high, ours.count + theirs.count)


def ratio(ours: Sequence[float], theirs: Sequence[float], z: float = Z_95) -> Interval:
    """Return how many times as long ours took, as the geometric mean of the ratios of pairs; values above zero.

    One pair tells of no spread: its interval is everything.
    """
    logarithms = [math.log(one / other) for one, other in zip(ours, theirs, strict=True)]
    count = len(logarithms)
    if count < 2:
        return Interval(math.exp(logarithms[0]) if count else 1.0, 0.0, math.inf, count)
    mean = statistics.fmean(logarithms)
    half = z * statistics.stdev(logarithms) / math.sqrt(count)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), count)


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value that a part of them does not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else 0.0
