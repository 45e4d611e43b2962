"""What must hold: ratios for `--quick`, which any machine can check, and the figures of a full run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.load.benchmark.results import IN_PROCESS, Journal, overhead, paired, rate_ratio

QUICK_RATES = {"minilm": 0.30, "minilm-text": 0.30, "cnn": 0.45, "cnn-jpeg": 0.45}
"""Least requests a second, as a share of in-process on all cores. The load generator works on the same cores, and
machines of a continuous integration are noisy: about half of what a calm machine shows."""
QUICK_PROCESSOR_OF_ECHO = 3.0
"""Most processor time of a request to the trivial model, as a multiple of an empty grpc.aio server's."""
QUICK_PROCESSOR_OF_MODEL = 1.6
"""Most processor time of a JPEG, as a multiple of decoding and running it in-process."""

FULL_OVERHEAD = {
    ("marquee", "trivial"): 220.0,
    ("marquee-whole", "trivial"): 320.0,
    ("marquee", "minilm"): 250.0,
    ("marquee", "forest"): 250.0,
    ("marquee-native", "trivial"): 220.0,
    ("marquee-native-whole", "trivial"): 320.0,
    ("marquee-native", "forest"): 250.0,
}
"""Most processor µs of a request above in-process."""
FULL_JPEG_SHARE = 0.25
FULL_RATES = {
    ("minilm", "triton"): 1.0,
    ("cnn", "triton"): 1.0,
    ("trivial", "mlserver"): 2.0,
    ("forest", "mlserver"): 2.0,
}
"""Least requests a second, as a multiple of the best of a peer's forms."""
FULL_GOODPUT = 0.9
FULL_REFUSAL_MILLISECONDS = 10.0
FULL_ACCEPTED_P99 = 3.0
FULL_MEMORY_GROWTH = 0.05


@dataclass(frozen=True)
class Check:
    """One figure against its floor. `unit` follows the number in tables."""

    what: str
    found: float
    floor: float
    at_least: bool
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure is on the right side of its floor."""
        return self.found >= self.floor if self.at_least else self.found <= self.floor

    def sentence(self) -> str:
        """Return what was found and what must hold."""
        sign = "at least" if self.at_least else "at most"
        return f"{self.what} is {self.found:.3g}{self.unit}, must be {sign} {self.floor:g}{self.unit}"


def quick_checks(journal: Journal) -> Iterator[Check]:
    """Yield the ratios that hold on every machine."""
    for workload, floor in QUICK_RATES.items():
        found = rate_ratio(journal, "marquee", IN_PROCESS, workload)
        if found is not None:
            yield Check(f"requests a second of {workload} as a share of in-process", found.high, floor, True)
    yield from _processor_ratio(journal, "trivial", "echo", QUICK_PROCESSOR_OF_ECHO, "an empty server's")
    yield from _processor_ratio(journal, "cnn-jpeg", IN_PROCESS, QUICK_PROCESSOR_OF_MODEL, "in-process")


def _processor_ratio(journal: Journal, workload: str, base: str, most: float, words: str) -> Iterator[Check]:
    values = [
        one.processor_microseconds / other.processor_microseconds
        for one, other in paired(journal, "marquee", base, workload)
    ]
    if values:  # the best round: noise only ever adds
        yield Check(f"processor time of {workload} as a multiple of {words}", min(values), most, False)


def full_checks(journal: Journal) -> Iterator[Check]:
    """Yield the figures of a full run that were measured, against what must hold."""
    for (system, workload), most in FULL_OVERHEAD.items():
        found = overhead(journal, system, workload)
        if found is not None:
            yield Check(f"{system}: processor time of {workload} above in-process", found.median, most, False, " µs")
    jpeg = overhead(journal, "marquee", "cnn-jpeg")
    base = journal.of(IN_PROCESS, "cnn-jpeg")
    if jpeg is not None and base:
        share = jpeg.median / (sum(one.processor_microseconds for one in base) / len(base))
        yield Check("processor time of a JPEG above in-process, as a share", share, FULL_JPEG_SHARE, False)
    for (workload, family), least in FULL_RATES.items():
        best = best_form(journal, family, workload)
        for system in ("marquee", "marquee-native"):
            ratio = rate_ratio(journal, system, best, workload) if best else None
            if ratio is not None:
                what = f"{system}: requests a second of {workload} as a multiple of {best}"
                yield Check(what, ratio.median, least, True, "×")
    yield from _part_checks(journal)


def best_form(journal: Journal, family: str, workload: str) -> str | None:
    """Return the system of a family (`triton`, `mlserver`) with the most requests a second."""
    names = {one.system for one in journal.cells if one.system.startswith(family) and one.workload == workload}
    medians = {name: sorted(one.rate for one in journal.of(name, workload)) for name in names}
    return max(medians, key=lambda name: medians[name][len(medians[name]) // 2], default=None)


def _part_checks(journal: Journal) -> Iterator[Check]:
    for one in journal.parts.get("overload", []):
        name = f"{one['system']}, {one['workload']}"
        yield Check(
            f"overload of {name}: goodput as a share of the peak", one["goodput"] / one["peak"], FULL_GOODPUT, True
        )
        yield Check(
            f"overload of {name}: median time to refuse", one["refusal_median"], FULL_REFUSAL_MILLISECONDS, False, " ms"
        )
        ratio = one["accepted_p99"] / one["unloaded_p99"]
        yield Check(f"overload of {name}: p99 of accepted against unloaded", ratio, FULL_ACCEPTED_P99, False, "×")
    for one in journal.parts.get("memory", []):
        grown = one["all_bytes"] / one["first_bytes"] - 1
        what = f"growth of {one['service']}'s memory from {one['first_requests']:,} to {one['all_requests']:,} requests"
        yield Check(what, grown, FULL_MEMORY_GROWTH, False)
