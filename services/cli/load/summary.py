"""A result as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group
from rich.markup import escape

from services.cli.load.crew import Result
from services.cli.load.diagnosis import generator_problems, notes
from services.cli.load.histograms import percentiles
from services.cli.load.plan import Step
from services.cli.load.ramp import Knee, Point
from services.cli.load.recording import StepRecord
from services.cli.tables import plain_table, titled

LEVELS = (50.0, 90.0, 99.0, 99.9, 100.0)
"""Percentiles of all tables; the last is the maximum."""


def result_table(result: Result, steps: Sequence[Step]) -> Group:
    """Return one row a step, and one for all."""
    table = plain_table()
    table.add_column("call", overflow="fold")
    heads = ("sent", "ok", "failed", "good/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "service p99")
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    total = result.recording.total
    for place, (step, record) in enumerate(zip(steps, result.recording.steps, strict=True)):
        table.add_row(escape(step.name), *_cells(record, result.recording.goodput(result.seconds, place)))
    if len(steps) > 1:
        table.add_section()
        table.add_row("all", *_cells(total, result.goodput), style="bold")
    measured = f"{result.seconds:.1f} s measured"
    if result.load.is_open:
        title = f"Open loop: {result.offered_rate:,.1f} calls/s offered, {result.goodput:,.1f} good, {measured}"
        about = "Latency counts from the time a call was due; `service` from the time it was really sent."
    else:
        title = f"Closed loop: {result.load.callers:,} callers, {result.goodput:,.1f} good answers/s, {measured}"
        about = "Latency counts from the send: a caller sends when it has the answer to its last call."
    return titled(title, table, about)


def failure_table(result: Result, steps: Sequence[Step]) -> Group | None:
    """Return one row for each way to fail; None when nothing failed."""
    table = plain_table()
    for name in ("call", "code", "reason"):
        table.add_column(name, overflow="fold")
    for name in ("count", "share", "p50 ms", "max ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for step, record in zip(steps, result.recording.steps, strict=True):
        for (code, reason), count in record.failures.most_common():
            times = percentiles(record.failed[code, reason], (50.0, 100.0))
            row = (escape(step.name), code, escape(reason), f"{count:,}", f"{count / record.offered:.2%}")
            table.add_row(*row, *(milliseconds(value) for value in times.values()))
    return titled("Failed", table) if table.row_count else None


def remarks(result: Result) -> list[str]:
    """Return sentences that belong under the tables, in markup; warnings first."""
    cpu = sum(share.cpu_seconds for share in result.generators)
    calls = max(1, result.recording.total.sent)
    shares = " and ".join(f"{share.of_a_core:.0%}" for share in result.generators)
    lag = percentiles(result.recording.lag, (50.0, 99.0))
    late = f"; calls left {lag[50.0]:.2f} ms late (p50), {lag[99.0]:.2f} ms (p99)" if result.load.is_open else ""
    generator = f"Generator: {shares} of a core, {cpu / calls * 1e6:,.0f} µs of processor time a call{late}."
    return [
        *(
            f"[bold yellow]The generator may be the bottleneck: {escape(problem)}.[/] More --processes, another "
            "machine or a lower rate will tell."
            for problem in generator_problems(result)
        ),
        *(escape(note) for note in notes(result)),
        escape(generator),
    ]


def knee_table(knee: Knee) -> Group:
    """Return one row a rate, lowest first."""
    table = plain_table()
    for name in ("offered/s", "good/s", "p50 ms", "p99 ms", "errors"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for point in sorted(knee.points, key=lambda one: one.rate):
        mark = "[green]served[/]" if point.served else f"[red]{escape(point.problem)}[/]"
        if point.rate == knee.rate and point.served:
            mark = "[bold green]served: the knee[/]"
        if point.generator:
            mark += f" [yellow](generator: {escape(point.generator)})[/]"
        row = (f"{point.offered:,.1f}", f"{point.goodput:,.1f}", milliseconds(point.p50), milliseconds(point.p99))
        table.add_row(*row, f"{point.errors:.2%}", mark)
    return titled("Ramp", table)


def knee_sentence(knee: Knee) -> str:
    """Return what the ramp found, in markup."""
    above = knee.first_problem
    if knee.rate is None:
        return "[bold red]No rate was served well.[/]" + (f" {escape(above.problem)}." if above else "")
    if above is None:
        why = "Ctrl-C ended the ramp" if knee.interrupted else "a higher --most would look further"
        return f"[bold]{knee.rate:,.0f} calls/s[/] are still served well; {why}."
    blame = _blame(above)
    return f"[bold green]Knee: {knee.rate:,.0f} calls/s.[/] At {above.rate:,.0f}/s: {escape(above.problem)}.{blame}"


def milliseconds(value: float) -> str:
    """Return milliseconds with three digits or so."""
    if math.isnan(value):
        return "–"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _blame(point: Point) -> str:
    return f" [yellow]But the generator did not keep up ({escape(point.generator)}).[/]" if point.generator else ""


def _cells(record: StepRecord, goodput: float) -> list[str]:
    latency = percentiles(record.latency, LEVELS)
    service = percentiles(record.service, (99.0,))[99.0]
    failed = sum(record.failures.values())
    red = f"[red]{failed:,}[/]" if failed else "0"
    counts = [f"{record.sent:,}", f"{record.ok:,}", red, f"{goodput:,.1f}"]
    return [*counts, *(milliseconds(latency[level]) for level in LEVELS), milliseconds(service)]
