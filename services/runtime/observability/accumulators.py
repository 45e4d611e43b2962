"""Plain counts that cost well under a microsecond to add to; they become Prometheus samples only when somebody looks.

No locks: CPython switches threads at calls and at backward jumps only, and between reading and writing one of these
numbers there is neither, so that no addition is lost whichever thread makes it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

RPC_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""From the overhead of an empty call to the default deadline."""
RUN_SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
COST = tuple(4**power for power in range(13))
"""From one row to the pixels of a batch of pictures."""


class Histogram:
    """Counts of values by size.

    Args:
        bounds: upper bounds of the buckets, inclusive, ascending; what is larger than the last one is counted too.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total: float = 0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """Number of values so far."""
        return sum(self.counts)

    def cumulative(self) -> list[int]:
        """Return for each bound, and at the end for infinity, how many values did not exceed it."""
        return list(accumulate(self.counts))


class Counters:
    """Counts by a name that comes from the code, such as a reason; what exceeds the limit is counted as OTHER.

    Args:
        limit: most distinct names.
    """

    __slots__ = ("_counts", "_limit")
    OTHER = "OTHER"

    def __init__(self, limit: int = 32) -> None:
        self._counts: dict[str, int] = {}
        self._limit = limit

    def add(self, name: str, amount: int = 1) -> None:
        """Add to the count of a name."""
        counts = self._counts
        if name in counts:
            counts[name] += amount
        else:
            self._add_new(name, amount)

    def _add_new(self, name: str, amount: int) -> None:
        if len(self._counts) >= self._limit:
            name = self.OTHER
        self._counts[name] = self._counts.setdefault(name, 0) + amount

    def items(self) -> Mapping[str, int]:
        """Return the counts as they are now."""
        return dict(self._counts)
