"""Finds the knee: the highest rate that a mesh serves well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from services.cli.load.crew import Result
from services.cli.load.diagnosis import generator_problems
from services.cli.load.histograms import percentiles

LEAST_GOODPUT = 0.95
"""Share of the offered calls that must have been answered well, in time."""
MOST_ERRORS = 0.01
_CLOSE_ENOUGH = 1.04
_DOWNWARD_STEPS = 6
_LOWEST_RATE = 2.0


@dataclass(frozen=True)
class Point:
    """One offered rate and what came of it.

    Attributes:
        rate: calls a second that were asked for.
        offered: calls a second that were due, by chance a little more or less.
        goodput: good answers a second.
        p50: milliseconds from the intended send.
        p99: likewise.
        errors: share of calls that failed or were not sent.
        problem: why the rate is too much; empty when it is served well.
        generator: why the generator may be to blame; empty when it kept up.
    """

    rate: float
    offered: float
    goodput: float
    p50: float
    p99: float
    errors: float
    problem: str = ""
    generator: str = ""

    @property
    def served(self) -> bool:
        """The rate is served well."""
        return not self.problem


@dataclass
class Knee:
    """What a ramp found.

    Attributes:
        points: in the order measured.
        interrupted: Ctrl-C ended it.
    """

    points: list[Point] = field(default_factory=list)
    interrupted: bool = False

    @property
    def rate(self) -> float | None:
        """The highest rate served well below every rate that was not; None when there is none."""
        too_much = min((one.rate for one in self.confirmed_failures), default=float("inf"))
        return max((one.rate for one in self.points if one.served and one.rate < too_much), default=None)

    @property
    def confirmed_failures(self) -> list[Point]:
        """Points that failed at rates that were not served well at another try."""
        served = {one.rate for one in self.points if one.served}
        return [one for one in self.points if not one.served and one.rate not in served]

    @property
    def first_problem(self) -> Point | None:
        """The point just above the knee."""
        return min(self.confirmed_failures, key=lambda one: one.rate, default=None)


@dataclass(frozen=True)
class RampOptions:
    """How to look for the knee.

    Attributes:
        start: first rate.
        factor: each rate against the one before.
        most: highest rate to offer.
        objective_ms: p99 that must be kept; None for none.
        bisections: halvings of the gap between the last good and the first bad rate.
    """

    start: float = 50.0
    factor: float = 1.25
    most: float = 20_000.0
    objective_ms: float | None = None
    bisections: int = 3


Measure = Callable[[float], Result]


class _Interrupted(Exception):
    """Ctrl-C ended a measurement."""


def find_knee(measure: Measure, options: RampOptions, watch: Callable[[Point], None] = lambda point: None) -> Knee:
    """Offer rising rates until one is too much, twice in a row; then halve the gap.

    Args:
        measure: runs one rate for a while.
        options: how.
        watch: told each point.
    """
    knee = Knee()

    def serves(rate: float) -> bool:
        result = measure(rate)
        if result.interrupted:
            raise _Interrupted
        point = judge(rate, result, options.objective_ms)
        knee.points.append(point)
        watch(point)
        return point.served

    try:
        _search(serves, options)
    except _Interrupted:
        knee.interrupted = True
    return knee


def _search(serves: Callable[[float], bool], options: RampOptions) -> None:
    low, high = 0.0, options.start
    while serves(high) or serves(high):
        low, high = high, high * options.factor
        if high > options.most:
            return
    for _ in range(_DOWNWARD_STEPS if not low else 0):  # even the first rate was too much
        if high < _LOWEST_RATE:
            return
        if serves(high / 2):
            low = high / 2
            break
        high /= 2
    for _ in range(options.bisections):
        if not low or high / low < _CLOSE_ENOUGH:
            return
        middle = (low * high) ** 0.5
        low, high = (middle, high) if serves(middle) else (low, middle)


def judge(rate: float, result: Result, objective_ms: float | None) -> Point:
    """Return the point of one rate."""
    total = result.recording.total
    found = percentiles(total.latency, [50, 99])
    offered, goodput = result.offered_rate, result.goodput
    errors = 1 - total.ok / total.offered if total.offered else 0.0
    problems = []
    if not total.ok:
        problems.append("no good answer")
    else:
        if goodput < LEAST_GOODPUT * offered:
            problems.append(f"goodput {goodput / offered:.0%} of offered")
        if objective_ms is not None and found[99] > objective_ms:
            problems.append(f"p99 {found[99]:,.0f} ms > {objective_ms:,.0f} ms")
        if errors > MOST_ERRORS:
            problems.append(f"errors {errors:.1%}")
    generator = "; ".join(generator_problems(result))
    return Point(rate, offered, goodput, found[50], found[99], errors, ", ".join(problems), generator)
