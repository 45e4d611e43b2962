"""Runs a load, or a ramp of loads, and prints what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from rich.markup import escape

from services.cli.console import output
from services.cli.load import summary
from services.cli.load.crew import Crew, Load, Result
from services.cli.load.plan import Plan, Step
from services.cli.load.progress import shown
from services.cli.load.ramp import Knee, Point, RampOptions, find_knee

_CALLS_A_PROCESS = 1_500
_STEP_WARM_UP_SECONDS = 1.0
_MANY_REPEATS = 10


@dataclass(frozen=True)
class Pace:
    """The options of how and how long."""

    processes: int
    channels: int
    seed: int
    factor: float
    step_seconds: float
    objective_ms: float | None
    most: float


def run_once(title: str, steps: list[Step], wanted: Load, pace: Pace) -> Result:
    """Run one load under a progress display, print its tables, and return it."""
    count = pace.processes or _processes(wanted.rate, wanted.callers)
    how = f"{wanted.rate:g} calls/s ({wanted.arrivals})" if wanted.is_open else f"{wanted.callers} callers"
    output.print(
        f"[bold]{escape(title)}[/]: {how} for {wanted.seconds:g} s after {wanted.warm_up_seconds:g} s of warm-up, from "
        f"{count} process{'es' if count > 1 else ''}, to {escape(_places(steps))}"
    )
    plan = Plan(tuple(steps), pace.channels)
    with Crew(plan, count, pace.seed) as crew, shown(title, wanted.warm_up_seconds, wanted.seconds) as watch:
        result = crew.run(wanted, watch)
    output.print(summary.result_table(result, steps))
    failures = summary.failure_table(result, steps)
    if failures is not None:
        output.print(failures)
    for remark in [*summary.remarks(result), *_repeats(result, steps)]:
        output.print(remark)
    return result


def run_ramp(title: str, steps: list[Step], wanted: Load, pace: Pace) -> tuple[Result | None, Knee]:
    """Look for the knee, print the curve, and return the run at the knee (or the last one) with what was found."""
    count = pace.processes or max(2, min(4, os.cpu_count() or 2))
    options = RampOptions(wanted.rate, pace.factor, pace.most, pace.objective_ms)
    objective = f", p99 ≤ {pace.objective_ms:g} ms" if pace.objective_ms else ""
    output.print(
        f"[bold]{escape(title)}[/]: ramp from {wanted.rate:g} calls/s by ×{pace.factor:g}, {pace.step_seconds:g} s a "
        f"step, until goodput < 95 %{objective} or errors > 1 %; {count} processes, to {escape(_places(steps))}"
    )
    results: dict[float, Result] = {}

    def say(point: Point) -> None:
        mark = "[green]served[/]" if point.served else f"[red]{escape(point.problem)}[/]"
        p99 = summary.milliseconds(point.p99)
        output.print(f"  {point.rate:>9,.1f}/s: {point.goodput:,.1f} good/s, p99 {p99} ms, {mark}")

    with Crew(Plan(tuple(steps), pace.channels), count, pace.seed) as crew:

        def measure(rate: float) -> Result:
            warm_up = min(wanted.warm_up_seconds, _STEP_WARM_UP_SECONDS) if results else wanted.warm_up_seconds
            seed = wanted.seed + len(results)
            step = replace(wanted, rate=rate, seconds=pace.step_seconds, warm_up_seconds=warm_up, seed=seed)
            with shown(f"{title} at {rate:,.0f}/s", warm_up, pace.step_seconds) as watch:
                results[rate] = crew.run(step, watch)
            return results[rate]

        knee = find_knee(measure, options, say)
    output.print(summary.knee_table(knee), summary.knee_sentence(knee), sep="")
    best = results.get(knee.rate) if knee.rate is not None else next(reversed(results.values()), None)
    return best, knee


def _repeats(result: Result, steps: list[Step]) -> list[str]:
    """Say when requests were sent again and again: a cache would make the server look faster than it is."""
    found = []
    for step, record in zip(steps, result.recording.steps, strict=True):
        if not step.unique and record.sent > _MANY_REPEATS * len(step.bodies):
            found.append(f"{escape(step.name)}: {len(step.bodies):,}")
    if not found:
        return []
    return [f"[dim]Few different requests, each sent many times, so caches help ({'; '.join(found)}).[/]"]


def _places(steps: list[Step]) -> str:
    return ", ".join(dict.fromkeys(step.address for step in steps))


def _processes(rate: float, callers: int) -> int:
    """Return how many generator processes a load needs, leaving the server some cores where it can."""
    cores = os.cpu_count() or 1
    needed = -(-rate // _CALLS_A_PROCESS) if rate else min(callers, 2)
    return max(1, min(cores, int(needed)))
