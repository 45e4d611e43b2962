"""Latency histograms of constant size: microseconds up to an hour, three digits exact. The `hdrhistogram` library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy
import numpy.typing
from hdrh.histogram import HdrHistogram

LONGEST_MICROSECONDS = 3_600_000_000
_DIGITS = 3
_EXACT_BITS = 11
"""Values of so many bits have a bucket of their own with three digits; larger ones share it in pairs, fours, …"""
Microseconds = numpy.typing.NDArray[numpy.int64]


def histogram() -> Any:
    """Return an empty histogram."""
    return HdrHistogram(1, LONGEST_MICROSECONDS, _DIGITS)


def record(target: Any, values: Microseconds) -> None:
    """Record many values at once. Values of one bucket go in together, which is what makes it quick."""
    if not values.size:
        return
    values = numpy.clip(values, 0, LONGEST_MICROSECONDS)
    target.record_value(int(values.max()))  # the histogram keeps the largest value exactly …
    target.record_value(int(values.max()), -1)
    target.record_value(int(values.min()))  # … and the smallest
    target.record_value(int(values.min()), -1)
    shift = numpy.maximum(numpy.frexp(values.astype(numpy.float64))[1] - _EXACT_BITS, 0)
    lowest, counts = numpy.unique((values >> shift) << shift, return_counts=True)
    largest = target.max_value
    smallest = target.min_value
    for value, count in zip(lowest.tolist(), counts.tolist(), strict=True):
        target.record_value(value, count)
    target.max_value, target.min_value = largest, smallest


def percentiles(source: Any, wanted: Iterable[float]) -> dict[float, float]:
    """Return values in milliseconds; NaN for each when nothing was recorded."""
    wanted = list(wanted)
    if not source.total_count:
        return dict.fromkeys(wanted, float("nan"))
    found = source.get_percentile_to_value_dict(wanted)
    return {one: min(found[one], source.max_value) / 1000 for one in wanted}


def share_above(source: Any, milliseconds: float) -> float:
    """Return the share of the values above a number of milliseconds, 0 to 1; NaN when nothing was recorded."""
    if not source.total_count:
        return float("nan")
    counts = numpy.frombuffer(source.counts, numpy.uint64)
    first = source._counts_index_for(int(milliseconds * 1000)) + 1
    return float(counts[first:].sum() / source.total_count)


def curve(source: Any, digits: int = 5) -> tuple[list[float], list[float]]:
    """Return percentiles (0 to 1, without 1) and the milliseconds at each, for plots: ever closer to the maximum."""
    if not source.total_count:
        return [], []
    levels = [0.0]
    for nines in range(digits):
        levels += [1 - (1 - step / 20) * 10.0**-nines for step in range(0 if nines else 1, 19)]
    levels = [level for level in sorted(set(levels)) if (1 - level) * source.total_count >= 1]
    found = percentiles(source, [level * 100 for level in levels])
    return levels, [found[level * 100] for level in levels]
