"""What happened to the calls: counts, histograms, and the course over time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from services.cli.load.histograms import Microseconds, histogram, record
from services.cli.load.plan import COLUMNS, NOT_SENT, OK, Calls

Outcome = tuple[int, str, str]
_SLACK = 0.01
"""Part of an interval that is rounding: thirds of a second do not add up exactly."""


@dataclass
class StepRecord:
    """Calls of one step that were intended in the measured time.

    Attributes:
        offered: calls that were due.
        ok: calls with a good answer.
        failures: other outcomes by (code, reason), calls that were not sent among them.
        latency: from the intended send to the end of good calls.
        service: from the actual send to the end of the same calls.
        failed: from the intended send to the end of failed calls that were sent, by (code, reason).
    """

    offered: int = 0
    ok: int = 0
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    latency: Any = field(default_factory=histogram)
    service: Any = field(default_factory=histogram)
    failed: dict[tuple[str, str], Any] = field(default_factory=lambda: defaultdict(histogram))

    @property
    def not_sent(self) -> int:
        """Calls that were due when too many were in flight."""
        return sum(count for (code, _), count in self.failures.items() if code == NOT_SENT)

    @property
    def sent(self) -> int:
        """Calls that went out."""
        return self.offered - self.not_sent

    def merge(self, other: StepRecord) -> None:
        """Add what another process recorded."""
        self.offered += other.offered
        self.ok += other.ok
        self.failures += other.failures
        self.latency.add(other.latency)
        self.service.add(other.service)
        for outcome, values in other.failed.items():
            self.failed[outcome].add(values)


@dataclass
class Interval:
    """A short stretch of the run. Calls count as offered when they were intended, as ended and good when they ended.

    Attributes:
        latency: of good calls that were intended in the stretch.
        lag: sum of the microseconds that calls left late.
    """

    offered: int = 0
    not_sent: int = 0
    ended: int = 0
    good: int = 0
    lag: int = 0
    latency: Any = field(default_factory=histogram)

    def merge(self, other: Interval) -> None:
        """Add what another process recorded."""
        self.offered += other.offered
        self.not_sent += other.not_sent
        self.ended += other.ended
        self.good += other.good
        self.lag += other.lag
        self.latency.add(other.latency)


class Recording:
    """Records the calls of one process; recordings of several processes merge into one.

    Args:
        steps: number of steps of the plan.
        interval_seconds: length of an `Interval`.
    """

    def __init__(self, steps: int, interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self.steps = [StepRecord() for _ in range(steps)]
        self.lag = histogram()
        self.intervals: dict[int, Interval] = defaultdict(Interval)
        self._good_by_step: list[Counter[int]] = [Counter() for _ in range(steps)]

    def add(self, outcomes: Sequence[Outcome], calls: Calls) -> None:
        """Record calls.

        Args:
            outcomes: all outcomes of the process so far, in the order of their numbers.
            calls: what the process sent.
        """
        table = numpy.frombuffer(calls.numbers, numpy.int64).reshape(-1, COLUMNS)
        width = self.interval_seconds * 1e6
        for number in numpy.unique(table[:, 0]).tolist():
            step, code, reason = outcomes[number]
            rows = table[table[:, 0] == number]
            self._add_ends(step, rows, width, code)
            rows = rows[rows[:, 1] >= 0]  # the warm-up counts for nothing else
            if rows.size:
                self._add_calls(step, code, reason, rows, width)

    def merge(self, other: Recording) -> None:
        """Add what another process recorded."""
        for mine, theirs in zip(self.steps, other.steps, strict=True):
            mine.merge(theirs)
        self.lag.add(other.lag)
        for counts, more in zip(self._good_by_step, other._good_by_step, strict=True):
            counts.update(more)
        for index, interval in other.intervals.items():
            self.intervals[index].merge(interval)

    @property
    def total(self) -> StepRecord:
        """All steps together."""
        total = StepRecord()
        for one in self.steps:
            total.merge(one)
        return total

    def course(self, seconds: float) -> list[Interval]:
        """Return the intervals of the measured time, in order; the last may be a part of one."""
        last = max(1, math.ceil(seconds / self.interval_seconds - _SLACK))
        return [self.intervals.get(index) or Interval() for index in range(last)]

    def goodput(self, seconds: float, step: int | None = None) -> float:
        """Return the good answers a second that came in the measured time, whenever they were asked for.

        Only whole intervals count: of a part, nobody knows which answers came after its end.

        Args:
            seconds: the measured time.
            step: number of one step; None for all.
        """
        whole = math.floor(seconds / self.interval_seconds + _SLACK)
        if not whole:
            return 0.0
        steps = self._good_by_step if step is None else [self._good_by_step[step]]
        return sum(counts[index] for counts in steps for index in range(whole)) / (whole * self.interval_seconds)

    def _add_ends(self, step: int, rows: Microseconds, width: float, code: str) -> None:
        if code == NOT_SENT:
            return
        ends = ((rows[:, 1] + rows[:, 2] + rows[:, 3]) // width).astype(numpy.int64)
        for index, count in _counted(ends):
            if index >= 0:
                self.intervals[index].ended += count
                if code == OK:
                    self.intervals[index].good += count
                    self._good_by_step[step][index] += count

    def _add_calls(self, step: int, code: str, reason: str, rows: Microseconds, width: float) -> None:
        into = self.steps[step]
        count = len(rows)
        into.offered += count
        places = (rows[:, 1] // width).astype(numpy.int64)
        for index, number in _counted(places):
            self.intervals[index].offered += number
        if code == NOT_SENT:
            into.failures[code, reason] += count
            for index, number in _counted(places):
                self.intervals[index].not_sent += number
            return
        record(self.lag, rows[:, 2])
        latency = rows[:, 2] + rows[:, 3]
        for index, _ in _counted(places):
            here = places == index
            self.intervals[index].lag += int(rows[here, 2].sum())
            if code == OK:
                record(self.intervals[index].latency, latency[here])
        if code == OK:
            into.ok += count
            record(into.latency, latency)
            record(into.service, rows[:, 3])
        else:
            into.failures[code, reason] += count
            record(into.failed[code, reason], latency)


def _counted(values: Microseconds) -> list[tuple[int, int]]:
    found, counts = numpy.unique(values, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))
