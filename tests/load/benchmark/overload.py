"""Three times the capacity, offered in an open loop: what is still answered, how fast the rest is refused."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy

from tests.load.benchmark.generator import Order
from tests.load.benchmark.load import Load, offer, write_requests
from tests.load.benchmark.results import Failure, Journal
from tests.load.benchmark.rounds import cores
from tests.load.benchmark.server_process import ServerFailed
from tests.load.benchmark.systems import Marquee, MarqueeNative
from tests.load.benchmark.workloads import Workload

WORKLOADS = ("cnn-jpeg", "minilm-64")
FACTOR = 3.0
"""Offered load, as a multiple of the capacity."""
UNLOADED_SHARE = 0.25
"""Share of the capacity at which the unloaded latency is measured."""
PATIENCE_FACTOR = 3.0
"""Deadline of the callers, as a multiple of the unloaded p99: a later answer is of no use to them."""
_REFUSALS = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")


@dataclass(frozen=True)
class Overload:
    """What happened to one workload; times in milliseconds.

    Attributes:
        system: what was overloaded.
        peak: answers a second of a closed loop of 32 callers.
        offered: calls a second.
        goodput: answers a second within the callers' deadline.
        refusal_median: from sending to the refusal.
        refused: share of all calls.
        expired: share of all calls that were neither answered nor refused before their deadline.
        late_sends_p99: how much later than meant the generator itself sent.
    """

    system: str
    workload: str
    seconds: float
    deadline: float
    peak: float
    offered: float
    goodput: float
    unloaded_p99: float
    accepted_p50: float
    accepted_p99: float
    refusal_median: float
    refusal_p99: float
    refused: float
    expired: float
    late_sends_p99: float
    generator_share: float
    codes: dict[str, int]


def run(known: Sequence[Workload], journal: Journal, seconds: float, say: Callable[[str], None]) -> None:
    """Overload a service of ours with each workload, behind both fronts."""
    found: list[dict[str, Any]] = []
    for workload in known:
        for system in (Marquee(), MarqueeNative()):
            say(f"overload: {system.title} · {workload.name}")
            try:
                system.start([workload])
                found.append(asdict(_overload(system, workload, seconds)))
            except ServerFailed as error:
                journal.add(Failure("overload", workload.name, 0, str(error)))
            finally:
                system.stop()
    journal.add_part("overload", found)


def _overload(system: Marquee, workload: Workload, seconds: float) -> Overload:
    short = max(2.0, seconds / 6)
    closed = _offer(system, workload, seconds=short, warmup_seconds=1.0)
    peak = len(closed.outcome.answered) / closed.outcome.seconds
    calm = _offer(system, workload, seconds=short, rate=peak * UNLOADED_SHARE)
    unloaded_p99 = _percentile(calm.outcome.answered, 99)
    deadline = PATIENCE_FACTOR * unloaded_p99
    load = _offer(system, workload, seconds=seconds, rate=peak * FACTOR, deadline_seconds=deadline / 1e3)
    outcome = load.outcome
    answered = [one for one in outcome.answered if one * 1e3 <= deadline]
    refusals = [one for code in _REFUSALS for one in outcome.refused.get(code, [])]
    total = len(outcome.answered) + sum(map(len, outcome.refused.values()))
    return Overload(
        system=system.name,
        workload=workload.name,
        seconds=outcome.seconds,
        deadline=deadline,
        peak=peak,
        offered=total / outcome.seconds,
        goodput=len(answered) / outcome.seconds,
        unloaded_p99=unloaded_p99,
        accepted_p50=_percentile(outcome.answered, 50),
        accepted_p99=_percentile(outcome.answered, 99),
        refusal_median=_percentile(refusals, 50),
        refusal_p99=_percentile(refusals, 99),
        refused=len(refusals) / max(1, total),
        expired=len(outcome.refused.get("DEADLINE_EXCEEDED", [])) / max(1, total),
        late_sends_p99=_percentile(outcome.late_sends, 99),
        generator_share=outcome.processor_seconds / outcome.seconds / cores(),
        codes={"OK": len(outcome.answered), **{code: len(times) for code, times in outcome.refused.items()}},
    )


def _offer(system: Marquee, workload: Workload, **options: Any) -> Load:
    target = system.target(workload)
    with tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as folder:
        files = write_requests(Path(folder), workload.requests())
        calls = [(workload.method, str(file), 1.0) for file in files]
        return offer(Order(target.process.address, calls, **({"warmup_seconds": 0.0} | options)), target.process.tree)


def _percentile(seconds: Sequence[float], percent: float) -> float:
    return float(numpy.percentile(seconds, percent)) * 1e3 if seconds else float("nan")
