"""How a canary went, as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.cli.cluster.canary import BASELINE, CANARY, Outcome
from services.cli.cluster.intervals import Interval
from services.cli.cluster.verdict import Comparison


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write both files; returns the Markdown's path, which the JSON's lies beside."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"canary-{outcome.plan.bundle}-{outcome.start:%Y%m%dT%H%M%SZ}.md"
    path.write_text(as_markdown(outcome), encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(as_json(outcome), indent=2) + "\n", encoding="utf-8")
    return path


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for programs; durations are in seconds, shares from 0 to 1."""
    return {
        "bundle": outcome.plan.bundle,
        "ranker": outcome.plan.ranker,
        "baseline": outcome.arms[BASELINE].bundle,
        "share_percent": outcome.plan.share,
        "start": outcome.start.isoformat(),
        "seconds": round(outcome.seconds, 1),
        "limits": asdict(outcome.plan.limits),
        "decision": outcome.verdict.decision.value,
        "reason": outcome.verdict.reason,
        "action": outcome.action,
        "confidence_percent": outcome.verdict.confidence,
        "comparisons": [asdict(one) for one in outcome.verdict.comparisons],
        "lists": {name: arm.lists for name, arm in outcome.arms.items()},
        "followed": {name: arm.followed for name, arm in outcome.arms.items()},
        "probes": len(outcome.arms[CANARY].seconds),
        "mesh": outcome.mesh,
        "notes": outcome.notes,
    }


def as_markdown(outcome: Outcome) -> str:
    """Return an outcome for people."""
    plan, arms = outcome.plan, outcome.arms
    rows = [
        f"| {one.name} | {_figure(one, one.baseline)} | {_figure(one, one.canary)} | {change(one)} | {one.judgement} |"
        for one in outcome.verdict.comparisons
    ]
    mesh = [f"- {name}: {value}" for name, value in outcome.mesh.items()]
    return "\n".join(
        [
            f"# Canary of bundle {plan.bundle}",
            "",
            f"**{outcome.verdict.decision.value.capitalize()}**: {outcome.verdict.reason}. {outcome.action}".rstrip(),
            "",
            f"{plan.share} % of the users got {plan.bundle} for {outcome.seconds / 60:.1f} minutes from "
            f"{outcome.start:%Y-%m-%d %H:%M} UTC on; the others had {arms[BASELINE].bundle}.",
            "",
            f"| compared | baseline | canary | difference ({outcome.verdict.confidence:g} %) | judged |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Failures, fallbacks and durations are of {len(arms[CANARY].seconds):,} pairs of probes: the same list "
            "from both arms, one right after the other, through the API server, whose way is part of the durations. "
            f"Click-through is of real users' lists: {arms[BASELINE].lists:,} and {arms[CANARY].lists:,}.",
            *(["", "In the same time, the whole mesh:", "", *mesh] if mesh else []),
            *(["", *(f"Note: {note}." for note in outcome.notes)] if outcome.notes else []),
            "",
        ]
    )


def change(one: Comparison) -> str:
    """Return what differs, with its interval: percentage points, or times for durations."""
    found = one.difference
    if one.name == "duration":
        return f"×{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
    return f"{found.value * 100:+.2f} points ({found.low * 100:+.2f} to {found.high * 100:+.2f})"


def _figure(one: Comparison, figure: Interval) -> str:
    if one.name == "duration":
        return f"median {figure.value * 1000:.0f} ms (quartiles {figure.low * 1000:.0f}, {figure.high * 1000:.0f})"
    return f"{figure.value:.2%} ({figure.low:.2%} to {figure.high:.2%})"
