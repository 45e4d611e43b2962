"""Writes what the drills showed: a table in docs/reliability.md, all figures in docs/reliability.json."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.outcome import Outcome

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
FIGURES = DOCUMENT.with_suffix(".json")
_BEGIN, _END = "<!-- drills: begin -->", "<!-- drills: end -->"
_COLUMNS = (
    "drill",
    "store",
    "`Recommend`: calls",
    "failed",
    "degraded",
    "p99, ms",
    "events acknowledged",
    "failed writing calls",
    "lost",
    "doubled",
    "whole again after, s",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table in Markdown, and what each drill does below it."""
    rows = ["| " + " | ".join(_COLUMNS) + " |", "|---|---|" + "---:|" * (len(_COLUMNS) - 2)]
    rows += [_row(outcome) for outcome in outcomes]
    acknowledged = sum(one.acknowledged for one in outcomes)
    lost, doubled = sum(one.lost for one in outcomes), sum(one.doubled for one in outcomes)
    rows += ["", f"Together: {acknowledged:,} events acknowledged, {lost:,} lost, {doubled:,} doubled."]
    rows += ["", "What each drill does:", ""]
    rows += [f"- **{one.name}**: {one.fault}." + _missing(one) for one in outcomes]
    broken = [one for one in outcomes if one.problems]
    if broken:
        rows += ["", "Not as it must be:", ""]
        rows += [f"- **{one.name}** ({one.store}): " + "; ".join(one.problems) + "." for one in broken]
    return "\n".join(rows)


def write(outcomes: Sequence[Outcome], command: str) -> None:
    """Replace the table between the markers of the document, and the figures."""
    machine = f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, Linux {platform.release().split('-')[0]}"
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    content = f"{before}{_BEGIN}\nMeasured on {date} with `{command}`: {machine}.\n\n{table(outcomes)}\n{_END}{after}"
    DOCUMENT.write_text(content, encoding="utf-8")
    figures: dict[str, Any] = {"date": date, "command": command, "machine": machine}
    figures["drills"] = [one.as_json() for one in outcomes]
    FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def line(outcome: Outcome) -> str:
    """Return one line for the terminal."""
    name = f"{outcome.name} ({outcome.store})"
    if outcome.skipped:
        return f"SKIPPED {name}: {outcome.skipped}"
    verdict = "FAILED " if outcome.problems else "ok     "
    figures = (
        f"Recommend {outcome.calls} calls, {outcome.failed_count} failed, {outcome.degraded} degraded, "
        f"p99 {outcome.p99_milliseconds:.0f} ms; events {outcome.acknowledged:,} acknowledged, "
        f"{sum(outcome.write_failures.values())} calls failed, {outcome.lost} lost, {outcome.doubled} doubled; "
        f"whole again after {_seconds(outcome)} s; took {outcome.seconds:.0f} s"
    )
    return "\n        ".join([f"{verdict} {name}: {figures}", *outcome.problems])


def _row(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"| {outcome.name} | {outcome.store} | skipped: {outcome.skipped} |" + " |" * (len(_COLUMNS) - 3)
    mark = "" if not outcome.problems else " ✗"
    failed = f"{outcome.failed_count:,}" + (" ¹" if outcome.failures_are_part_of_it and outcome.failed_count else "")
    cells = (
        outcome.name + mark,
        outcome.store,
        f"{outcome.calls:,}",
        failed,
        f"{outcome.degraded / outcome.calls:.0%}" if outcome.calls else "–",
        f"{outcome.p99_milliseconds:,.0f}",
        f"{outcome.acknowledged:,}",
        f"{sum(outcome.write_failures.values()):,}",
        f"{outcome.lost:,}",
        f"{outcome.doubled:,}",
        _seconds(outcome),
    )
    return "| " + " | ".join(cells) + " |"


def _missing(outcome: Outcome) -> str:
    if not outcome.missing:
        return ""
    steps = sorted(outcome.missing.items(), key=lambda item: -item[1])
    return " Missing: " + ", ".join(f"`{step}` ({count:,})" for step, count in steps) + "."


def _seconds(outcome: Outcome) -> str:
    return "–" if outcome.recovery_seconds is None else f"{outcome.recovery_seconds:.1f}"
