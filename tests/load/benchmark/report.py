"""The page of docs/benchmarks and the terminal's tables, from the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.load.benchmark.floors import full_checks
from tests.load.benchmark.results import IN_PROCESS, IN_PROCESS_CROWDED, Cell, Journal, Spread, overhead, rate_ratio

_HOW_TO_READ = """\
Every figure is the median over the rounds, with the smallest and the largest round in brackets. In each round every
system ran once, in rotated order, so that a noisy minute hits them alike. All systems served the same ONNX files with
the same ONNX Runtime, answered the same serialised requests (32 different ones of each kind) from 32 concurrent callers
on 4 connections, and the answer of each was compared with the model's own before it was measured.

- **CPU µs** is user and system time of the server's whole process tree, divided by the requests it answered. It does
  not contain the load generator, and other work on the machine changes it least of all figures: judge a server by it.
- **Above in-process** subtracts what one request costs in ONNX Runtime alone: one row a run, one thread; for texts and
  JPEGs with tokenising and decoding. It can be negative where a server runs rows of several requests together, and it
  contains what the model itself costs more while the other cores are busy (second row of each table).
- **Requests a second** are limited by the machine, which the load generator shares: its part of all cores is in the
  table. The share of in-process compares with ONNX Runtime on all cores without any server or generator, at the better
  of one and of 32 rows a run.
- **Memory** is the most that was seen while it answered: of the process tree with all models loaded (Marquee: the sum
  over its services), shared pages divided among their users.
- Answers may not depend on what else is in a run. All four models keep that rule at any batch here, so every server may
  batch as it likes.
- Triton comes from `nvidia-pytriton`: its C++ front with the Python back-end. That package does not carry Triton's own
  ONNX Runtime back-end, which would not go through Python.
"""


@dataclass(frozen=True)
class Table:
    """A title, column names and rows of words."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it for the page."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return f"### {self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def workload_table(journal: Journal, workload: str, title: str, systems: dict[str, str]) -> Table | None:
    """Return the figures of every system on one workload."""
    rows = [
        _row(journal, journal.of(name, workload), name_title, name, workload)
        for name, name_title in systems.items()
        if journal.of(name, workload)
    ]
    columns = (
        "system", "CPU µs a request", "above in-process, µs", "requests/s", "share of in-process",
        "generator's share of the cores", "p50 / p90 / p99 ms", "memory, MB", "errors",
    )  # fmt: skip
    limits = [
        _limit_row(journal.of(IN_PROCESS, workload), "in-process, best on all cores; CPU µs: one thread alone"),
        _limit_row(journal.of(IN_PROCESS_CROWDED, workload), "in-process, one row a run on every core"),
    ]
    return Table(title, columns, [*limits, *rows]) if rows else None


def _limit_row(cells: Sequence[Cell], title: str) -> list[str]:
    if not cells:
        return [title, *[""] * 8]
    used = Spread.of([one.processor_microseconds for one in cells])
    rate = Spread.of([one.rate for one in cells])
    return [title, used.words(1 if used.median < 100 else 0), "", rate.words(), "", "", "", "", ""]


def _row(journal: Journal, cells: Sequence[Cell], title: str, system: str, workload: str) -> list[str]:
    above = overhead(journal, system, workload)
    share = rate_ratio(journal, system, IN_PROCESS, workload)
    latency = [Spread.of([one.latency[index] * 1e3 for one in cells]).median for index in range(3)]
    errors: dict[str, int] = {}
    for one in cells:
        for code, count in one.errors.items():
            errors[code] = errors.get(code, 0) + count
    return [
        title,
        Spread.of([one.processor_microseconds for one in cells]).words(),
        above.words() if above else "",
        Spread.of([one.rate for one in cells]).words(),
        share.words(2) if share and workload not in {"trivial", "forest"} else "",
        f"{Spread.of([one.generator_share for one in cells]).median:.0%}",
        " / ".join(f"{one:.1f}" for one in latency),
        f"{max(one.proportional_bytes for one in cells) / 1e6:,.0f}",
        ", ".join(f"{count} {code}" for code, count in errors.items()) or "none",
    ]


def tables(
    journal: Journal, systems: dict[str, str], workloads: dict[str, str], with_floors: bool = True
) -> list[Table]:
    """Return every table that has rows."""
    found: list[Table | None] = [_floors(journal) if with_floors else None]
    found += [workload_table(journal, name, title, systems) for name, title in workloads.items()]
    found += [
        _overload(journal, systems, workloads),
        _memory(journal),
        _trials(journal, systems),
        _failures(journal, systems),
    ]
    return [one for one in found if one is not None and one.rows]


def _floors(journal: Journal) -> Table:
    rows = [
        [
            one.what,
            f"{one.found:.3g}{one.unit}",
            f"{'≥' if one.at_least else '≤'} {one.floor:g}{one.unit}",
            "yes" if one.holds else "**no**",
        ]
        for one in full_checks(journal)
    ]
    return Table("What must hold", ("what", "found", "floor", "holds"), rows)


def _overload(journal: Journal, systems: dict[str, str], workloads: dict[str, str]) -> Table:
    rows = [
        [
            systems.get(one["system"], one["system"]),
            workloads.get(one["workload"], one["workload"]),
            f"{one['peak']:,.0f}",
            f"{one['offered']:,.0f}",
            f"{one['goodput']:,.0f} ({one['goodput'] / one['peak']:.0%})",
            f"{one['unloaded_p99']:.1f}",
            f"{one['accepted_p50']:.1f} / {one['accepted_p99']:.1f}",
            f"{one['refusal_median']:.1f} / {one['refusal_p99']:.1f}",
            f"{one['refused']:.0%} / {one['expired']:.1%}",
            f"{one['generator_share']:.0%}, {one['late_sends_p99']:.1f} ms",
        ]
        for one in journal.parts.get("overload", [])
    ]
    columns = (
        "system", "workload", "peak, requests/s", "offered", "goodput (of the peak)", "unloaded p99 ms",
        "accepted p50 / p99 ms", "time to refuse, median / p99 ms", "refused / expired",
        "generator: share of the cores, late by (p99)",
    )  # fmt: skip
    return Table("Three times the capacity, open loop, callers wait three times the unloaded p99", columns, rows)


def _memory(journal: Journal) -> Table:
    rows = [
        [
            one["service"],
            f"{one['first_bytes'] / 1e6:,.1f} ({one['first_requests']:,})",
            f"{one['all_bytes'] / 1e6:,.1f} ({one['all_requests']:,})",
            f"{one['all_bytes'] / one['first_bytes'] - 1:+.1%}",
            ", ".join(f"{count:,} {code}" for code, count in one["codes"].items()),
        ]
        for one in journal.parts.get("memory", [])
    ]
    columns = ("service", "MB after the first (requests)", "MB after all (requests)", "growth", "answers")
    return Table("Resident memory under mixed requests, good and bad, metrics, tracing and usage on", columns, rows)


def _trials(journal: Journal, systems: dict[str, str]) -> Table:
    best = {
        (one.system, one.workload): max(
            other.rate for other in journal.trials if (other.system, other.workload) == (one.system, one.workload)
        )
        for one in journal.trials
    }
    rows = [
        [
            systems.get(one.system, one.system),
            one.workload,
            one.words,
            f"{one.rate:,.0f}",
            f"{one.processor_microseconds:,.0f}",
            "taken" if one.rate == best[one.system, one.workload] else "",
        ]
        for one in journal.trials
    ]
    return Table(
        "Settings of the peers that were tried", ("system", "workload", "setting", "requests/s", "CPU µs", ""), rows
    )


def _failures(journal: Journal, systems: dict[str, str]) -> Table:
    rows = [
        [systems.get(one.system, one.system), one.workload, str(one.round or ""), one.reason.replace("|", "/")]
        for one in journal.failures
    ]
    return Table("What could not be measured", ("system", "workload", "round", "reason"), rows)


def write_page(
    folder: Path, about: dict[str, str], found: Iterable[Table], pictures: Sequence[Path], rounds: int
) -> Path:
    """Write README.md and return its path."""
    facts = "\n".join(f"| {name} | {value} |" for name, value in about.items())
    images = "\n\n".join(f"![{one.stem}]({one.name})" for one in pictures)
    text = (
        "# Benchmarks\n\n"
        f"Written by `make bench`; {rounds} interleaved rounds. Do not edit.\n\n"
        f"| | |\n|---|---|\n{facts}\n\n{images}\n\n## How to read it\n\n{_HOW_TO_READ}\n## Results\n\n"
    )
    path = folder / "README.md"
    path.write_text(text + "\n".join(one.markdown() for one in found))
    return path


def write_json(folder: Path, about: dict[str, str], journal: Journal) -> Path:
    """Write results.json and return its path."""
    path = folder / "results.json"
    content = {
        "about": about,
        "cells": [asdict(one) for one in journal.cells],
        "trials": [asdict(one) for one in journal.trials],
        "failures": [asdict(one) for one in journal.failures],
        **journal.parts,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path
