"""Intervals of shares and means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy

Z_95 = 1.959963984540054


class Interval(NamedTuple):
    """A figure with its 95 % interval and the number of observations behind it."""

    value: float
    low: float
    high: float
    observations: int


def share(hits: int, count: int) -> Interval:
    """Return a share with E. Wilson's score interval ("Probable inference", JASA 22, 1927); 0 to 1 without
    observations.
    """
    if not count:
        return Interval(0.0, 0.0, 1.0, 0)
    rate, squared = hits / count, Z_95**2
    centre = (rate + squared / (2 * count)) / (1 + squared / count)
    half = Z_95 / (1 + squared / count) * math.sqrt(rate * (1 - rate) / count + squared / (4 * count**2))
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half), count)


def difference(ours: Interval, theirs: Interval) -> Interval:
    """Return the difference of two shares by R. Newcombe's method 10 ("Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17, 1998).
    """
    value = ours.value - theirs.value
    low = value - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    high = value + math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Interval(value, low, high, ours.observations + theirs.observations)


def mean(values: Sequence[float]) -> Interval:
    """Return a mean with its interval by the central limit theorem; one observation tells of no spread."""
    count = len(values)
    if not count:
        return Interval(0.0, 0.0, 0.0, 0)
    array = numpy.asarray(values, numpy.float64)
    value = float(array.mean())
    half = Z_95 * float(array.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    return Interval(value, value - half, value + half, count)
