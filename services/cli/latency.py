"""Measures recommendations as one caller sees them, and where the time goes."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group

from marquee_client import MarqueeClient
from services.cli.console import stage
from services.cli.tables import plain_table, titled

_WARM_UP_CALLS = 20


@dataclass
class Latency:
    """Durations of many calls, in milliseconds.

    Attributes:
        calls: duration of each call, as the caller saw it.
        steps: durations of each step, by (step, service).
    """

    calls: list[float] = field(default_factory=list)
    steps: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))


def measure_recommend(client: MarqueeClient, users: Sequence[str], count: int) -> Latency:
    """Ask for `count` lists, one after the other, for one user after the other."""
    latency = Latency()
    with stage(f"Ask for {count} lists", count) as work:
        for call in range(-_WARM_UP_CALLS, count):
            start = time.perf_counter()
            response = client.recommend(users[call % len(users)])
            elapsed = (time.perf_counter() - start) * 1000
            if call < 0:
                continue
            latency.calls.append(elapsed)
            for step in response.steps:
                latency.steps[step.step, step.service].append(step.milliseconds)
            work.advance()
        work.note = f"p50 {percentile(latency.calls, 50):.1f} ms, p99 {percentile(latency.calls, 99):.1f} ms"
    return latency


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of 100 values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def latency_table(latency: Latency) -> Group:
    """Return one row a step and one for the whole call."""
    table = plain_table()
    table.add_column("step")
    table.add_column("service")
    for name in ("p50 ms", "p99 ms", "share"):
        table.add_column(name, justify="right")
    whole = statistics.fmean(latency.calls)
    for (step, service), values in latency.steps.items():
        share = sum(values) / len(latency.calls) / whole
        table.add_row(step, service, *_row(values), f"{share:.0%}")
    table.add_section()
    table.add_row("whole call", "", *_row(latency.calls), "", style="bold")
    note = "Candidates are generated side by side; what no step counts is transport."
    return titled(f"{len(latency.calls)} lists, one caller", table, note)


def _row(values: Sequence[float]) -> tuple[str, str]:
    return f"{percentile(values, 50):.1f}", f"{percentile(values, 99):.1f}"
