"""When the calls of an open loop are due."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from services.cli.load.plan import Segment


def arrival_times(segment: Segment, chance: Random) -> Iterator[int]:
    """Yield the intended times of all calls of a segment: nanoseconds after its start, rising.

    They depend on the segment alone and never on a server. Processes with a part of the rate each make Poisson arrivals
    of the whole rate together.
    """
    end = (segment.warm_up_seconds + segment.seconds) * 1e9
    mean_gap = 1e9 / segment.rate
    at = segment.phase_seconds * 1e9 if segment.arrivals == "uniform" else chance.expovariate(1) * mean_gap
    while at < end:
        yield int(at)
        at += mean_gap if segment.arrivals == "uniform" else chance.expovariate(1) * mean_gap
