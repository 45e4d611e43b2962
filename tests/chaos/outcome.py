"""What one drill showed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.ledger import Findings
from tests.chaos.load import LoadOptions, Tally


@dataclass
class Outcome:
    """Figures of one drill, and what was wrong.

    Attributes:
        name: the drill.
        store: "SQLite" or "PostgreSQL".
        fault: what was done, in one sentence.
        skipped: why it was not run; empty when it was.
        problems: what must not be, one sentence each; empty for a drill that was passed.
        notes: further observations.
        calls: calls of `Recommend`.
        failed: those that failed, by gRPC code.
        failures_are_part_of_it: whether the fault takes the only orchestrator away.
        degraded: answers flagged degraded.
        missing: step → answers that went without it.
        p50_milliseconds: median latency of `Recommend`, failed calls included.
        p99_milliseconds: the same, 99th percentile.
        deadline_milliseconds: deadline of each call.
        acknowledged: events acknowledged in this drill.
        write_failures: failed writing calls, by gRPC code.
        resent: batches sent again.
        lost: acknowledged events that could not be read back, of this drill and those before on the same store.
        doubled: events read back more than once.
        recovery_seconds: from the end of the fault until lists are whole and events acknowledged; None without an end.
        seconds: duration of the drill.
    """

    name: str
    store: str
    fault: str
    skipped: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    calls: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    failures_are_part_of_it: bool = False
    degraded: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    p50_milliseconds: float = 0.0
    p99_milliseconds: float = 0.0
    deadline_milliseconds: float = 0.0
    acknowledged: int = 0
    write_failures: dict[str, int] = field(default_factory=dict)
    resent: int = 0
    lost: int = 0
    doubled: int = 0
    recovery_seconds: float | None = None
    seconds: float = 0.0

    @property
    def failed_count(self) -> int:
        """Number of failed calls of `Recommend`."""
        return sum(self.failed.values())

    def as_json(self) -> dict[str, Any]:
        """Return the figures for a file."""
        return asdict(self)

    def take_tally(self, tally: Tally, options: LoadOptions) -> None:
        """Take over what callers and writers saw, and judge it."""
        self.calls, self.failed = len(tally.latencies), dict(tally.recommend_failures)
        self.degraded, self.missing = tally.degraded, dict(tally.missing)
        self.p50_milliseconds = 1_000 * percentile(tally.latencies, 0.5)
        self.p99_milliseconds = 1_000 * percentile(tally.latencies, 0.99)
        self.deadline_milliseconds = 1_000 * options.deadline_seconds
        self.acknowledged, self.write_failures = tally.acknowledged, dict(tally.write_failures)
        self.resent = tally.resent
        self.notes += [f"{call}: {message}" for call, message in tally.examples.items()]
        if self.failed and not self.failures_are_part_of_it:
            self.problems.append(f"{self.failed_count} calls of Recommend failed: {self.failed}")
        if self.p99_milliseconds > self.deadline_milliseconds and not self.failures_are_part_of_it:
            self.problems.append(f"p99 of Recommend is {self.p99_milliseconds:.0f} ms, later than the deadline")
        if tally.unexplained:
            self.problems.append(f"{tally.unexplained} degraded answers do not say what was missing")
        if tally.vanished:
            self.problems.append(f"{tally.vanished} acknowledged events were unknown when they were sent again")
        if tally.odd:
            self.problems.append(f"{tally.odd} answers to writers do not add up")

    def take_findings(self, findings: Findings) -> None:
        """Take over what reading everything back showed."""
        self.lost, self.doubled = findings.lost, findings.doubled
        self.problems += findings.problems


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
