"""Writes a result for people (report.html, alone in its file) and for programs (report.json, latency.hlog)."""

from __future__ import annotations

import datetime
import html
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.text import Text

from services.cli.load import plots
from services.cli.load.crew import Result
from services.cli.load.diagnosis import generator_problems, notes
from services.cli.load.histograms import percentiles
from services.cli.load.plan import Step
from services.cli.load.ramp import Knee
from services.cli.load.recording import StepRecord
from services.cli.load.summary import LEVELS, knee_sentence, milliseconds

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1f2328}}
table{{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}}td,th{{padding:.25rem .7rem;
border-bottom:1px solid #d1d9e0;text-align:right}}td:first-child,th:first-child,td.t{{text-align:left}}
svg{{max-width:100%;height:auto}}.note{{border-left:4px solid #bf8700;padding:.2rem .8rem;margin:.5rem 0}}
code{{background:#f6f8fa;padding:.1rem .3rem}}dt{{font-weight:600}}</style>
<h1>{title}</h1><p><code>{command}</code></p><p>{facts}</p>{body}
<h2>How to read this</h2><dl>
<dt>offered</dt><dd>calls that were due. In an open loop nothing the server does changes them.</dd>
<dt>good</dt><dd>calls answered with OK, as the scenario expects it. Goodput counts answers that came in the measured
time.</dd>
<dt>latency</dt><dd>from the time a call was <em>due</em> to its answer: what an independent caller would have felt. Of
good calls; failed ones have a table of their own.</dd>
<dt>service time</dt><dd>from the time a call was really sent. Where it is much shorter, the generator was late.</dd>
<dt>not sent</dt><dd>calls that were due when too many were unanswered. They are failures.</dd></dl>
"""


def write_report(
    folder: Path, title: str, command: str, steps: Sequence[Step], result: Result | None, knee: Knee | None = None
) -> Path:
    """Write the report and return the page's path.

    Args:
        folder: where; made when missing.
        title: heading.
        command: the command line that made it.
        steps: kinds of calls.
        result: the run; None when a ramp was ended before its first rate.
        knee: the ramp, where there was one; `result` is then its last run at the knee.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"title": title, "command": command, "machine": _machine()}
    body = []
    if knee is not None:
        document["ramp"] = {"knee": knee.rate, "points": [asdict(point) for point in knee.points]}
        body += ["<h2>Ramp</h2>", f"<p>{html.escape(Text.from_markup(knee_sentence(knee)).plain)}</p>"]
        body += [_figure(folder, "ramp", plots.ramp_curve(knee)), _knee_table(knee)] if knee.points else []
    if result is not None:
        document["run"] = as_json(result, steps)
        heading = "At the knee" if knee is not None and knee.rate is not None else "Run"
        body += [f"<h2>{heading}</h2>", *(f'<p class="note">{html.escape(one)}</p>' for one in _remarks(result))]
        body += [_result_table(result, steps), _failures(result, steps)]
        for name, draw in (
            ("latency", plots.latency_curve),
            ("latency-over-time", plots.latency_over_time),
            ("throughput", plots.throughput_over_time),
        ):
            body.append(_figure(folder, name, draw(result)))
        write_histogram_log(folder / "latency.hlog", result, steps)
    (folder / "report.json").write_text(json.dumps(_finite(document), indent=1) + "\n", encoding="utf-8")
    facts = html.escape(" · ".join(f"{key}: {value}" for key, value in document["machine"].items()))
    page = _PAGE.format(title=html.escape(title), command=html.escape(command), facts=facts, body="\n".join(body))
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def as_json(result: Result, steps: Sequence[Step]) -> dict[str, Any]:
    """Return everything that was measured, for programs. Times are milliseconds unless the name says otherwise."""
    recording = result.recording
    return {
        "load": asdict(result.load),
        "loop": "open" if result.load.is_open else "closed",
        "started": datetime.datetime.fromtimestamp(result.started, datetime.UTC).isoformat(timespec="seconds"),
        "seconds": result.seconds,
        "offered_per_second": result.offered_rate,
        "goodput_per_second": result.goodput,
        "interrupted": result.interrupted,
        "abandoned": result.abandoned,
        "notes": notes(result),
        "total": _record(recording.total),
        "steps": [
            {"name": step.name, "method": step.method, "address": step.address, "distinct_requests": len(step.bodies)}
            | _record(record)
            for step, record in zip(steps, recording.steps, strict=True)
        ],
        "generator": {
            "problems": generator_problems(result),
            "processes": [asdict(share) for share in result.generators],
            "command_cpu_seconds": result.command_cpu_seconds,
            "lag": _percentiles(recording.lag),
        },
        "interval_seconds": recording.interval_seconds,
        "course": [
            {"offered": one.offered, "not_sent": one.not_sent, "ended": one.ended, "good": one.good}
            | {"latency": _percentiles(one.latency)}
            for one in recording.course(result.seconds)
        ],
    }


def write_histogram_log(path: Path, result: Result, steps: Sequence[Step]) -> None:
    """Write the HdrHistogram log (1.3, microseconds): all calls by interval, then each step's whole run by tag."""
    recording = result.recording
    lines = [
        "#[Latency of good calls from the time they were due, in microseconds]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {result.started:.3f} (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]

    def add(values: Any, start: float, length: float, tag: str = "") -> None:
        prefix = f"Tag={tag}," if tag else ""
        highest = values.get_max_value() / 1e6
        lines.append(f"{prefix}{start:.3f},{length:.3f},{highest:.3f},{values.encode().decode()}")

    for place, one in enumerate(recording.course(result.seconds)):
        if one.latency.total_count:
            add(one.latency, place * recording.interval_seconds, recording.interval_seconds)
    for step, record in zip(steps, recording.steps, strict=True):
        if record.latency.total_count:
            add(record.latency, 0.0, result.seconds, step.name.replace(",", ";").replace(" ", "_"))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _record(record: StepRecord) -> dict[str, Any]:
    failures = [
        {"code": code, "reason": reason, "count": count, "latency": _percentiles(record.failed[code, reason])}
        for (code, reason), count in record.failures.most_common()
    ]
    return {
        "offered": record.offered,
        "sent": record.sent,
        "ok": record.ok,
        "not_sent": record.not_sent,
        "failures": failures,
        "latency": _percentiles(record.latency),
        "service_time": _percentiles(record.service),
    }


def _percentiles(values: Any) -> dict[str, float]:
    found = percentiles(values, LEVELS)
    return {"max" if level == 100 else f"p{level:g}": value for level, value in found.items()}


def _finite(value: Any) -> Any:
    """Return JSON without NaN, which programs cannot read."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _remarks(result: Result) -> list[str]:
    return [*(f"The generator may be the bottleneck: {one}." for one in generator_problems(result)), *notes(result)]


def _figure(folder: Path, name: str, svg: str) -> str:
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"


def _result_table(result: Result, steps: Sequence[Step]) -> str:
    heads = [
        "call",
        "offered",
        "sent",
        "ok",
        "failed",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "service p99",
    ]
    records = [(step.name, record) for step, record in zip(steps, result.recording.steps, strict=True)]
    if len(records) > 1:
        records.append(("all", result.recording.total))
    rows = []
    for name, one in records:
        latency = [milliseconds(value) for value in percentiles(one.latency, LEVELS).values()]
        service = milliseconds(percentiles(one.service, (99.0,))[99.0])
        counts = [f"{count:,}" for count in (one.offered, one.sent, one.ok, sum(one.failures.values()))]
        rows.append([name, *counts, *latency, service])
    rate = f"<p>{result.offered_rate:,.1f} calls/s offered, {result.goodput:,.1f} good answers/s, "
    return f"{rate}{result.seconds:.1f} s measured.</p>{_table(heads, rows)}"


def _failures(result: Result, steps: Sequence[Step]) -> str:
    rows = [
        [step.name, code, reason, f"{count:,}", f"{count / record.offered:.2%}"]
        for step, record in zip(steps, result.recording.steps, strict=True)
        for (code, reason), count in record.failures.most_common()
    ]
    return f"<h3>Failed</h3>{_table(['call', 'code', 'reason', 'count', 'share'], rows)}" if rows else ""


def _knee_table(knee: Knee) -> str:
    rows = []
    for one in sorted(knee.points, key=lambda one: one.rate):
        figures = [f"{one.offered:,.1f}", f"{one.goodput:,.1f}", milliseconds(one.p50), milliseconds(one.p99)]
        rows.append([*figures, f"{one.errors:.2%}", one.problem or "served", one.generator])
    return _table(["offered/s", "good/s", "p50 ms", "p99 ms", "errors", "", "generator"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(one)}</th>" for one in heads)
    lines = ["".join(f"<td>{html.escape(one)}</td>" for one in row) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _machine() -> dict[str, str]:
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "grpcio": importlib.metadata.version("grpcio"),
    }
