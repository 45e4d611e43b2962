"""`marquee usage`: what tenants used of the mesh's models."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf import timestamp_pb2
from rich.markup import escape
from rich.table import Table

from marquee.common.v1 import usage_pb2 as pb
from marquee.common.v1.usage_pb2_grpc import UsageServiceStub
from services.cli.channels import open_channel
from services.cli.console import errors, output
from services.cli.failures import EXIT_FAILED, EXIT_NO_MESH, EXIT_WRONG_INPUT, CommandFailed
from services.cli.health import listens
from services.cli.local_mesh import SERVICES
from services.cli.settings import TargetOption, command_settings
from services.cli.status import service_targets
from services.cli.tables import plain_table, titled
from services.cli.tls import command_tls
from services.runtime.observability.usage import HOUR_SECONDS, UsageRecord
from services.runtime.observability.usage_journal import as_json, read_usage

EPILOG = """
[bold]Examples[/]

  marquee usage                                                  [dim]# since the services began to meter[/]

  marquee usage --tenant arcade --since 2026-01-01 --by day      [dim]# one tenant, day by day[/]

  marquee usage --by hour --format csv > usage.csv               [dim]# for a bill[/]

  marquee usage --file text.usage.jsonl --file old.usage.jsonl   [dim]# from usage files, without a mesh[/]

[dim]Exit code 1 when a service did not answer: what is shown is then incomplete.[/]
"""


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class Period(StrEnum):
    """What to add up."""

    TOTAL = "total"
    DAY = "day"
    HOUR = "hour"


@dataclass(frozen=True)
class Selection:
    """Which usage is wanted: of one tenant or all, and of which hours, in seconds since 1970."""

    tenant: str
    since: float | None
    until: float | None

    def __contains__(self, record: UsageRecord) -> bool:
        return (
            self.tenant in ("", record.tenant)
            and (self.since is None or record.hour + HOUR_SECONDS > self.since)
            and (self.until is None or record.hour < self.until)
        )


def usage(
    tenant: Annotated[str, typer.Option(help="Only this tenant; else all.", show_default=False)] = "",
    since: Annotated[
        str, typer.Option(metavar="DATE", help="From this date or time on, UTC, by whole hours.", show_default=False)
    ] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="Before this date or time, UTC.", show_default=False)] = "",
    by: Annotated[Period, typer.Option(help="Add up everything, or by day or hour.")] = Period.TOTAL,
    form: Annotated[Format, typer.Option("--format", help="A table for people, CSV or JSON lines.")] = Format.TABLE,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Read a usage file instead of asking the mesh; may be repeated.", show_default=False),
    ] = None,
    target: TargetOption = None,
) -> None:
    """Show what tenants used: calls, tokens, pixels, rows and compute time."""
    selection = Selection(tenant, _moment("--since", since), _moment("--until", until))
    missing: list[str] = []
    overflow = 0
    if file:
        records = [record for record in _of_files(file) if record in selection]
    else:
        records, overflow, missing = _of_mesh(target, selection)
    totals = add_up(records, by)
    if form is Format.CSV:
        _print_csv(totals, by)
    elif form is Format.JSON:
        for record in totals:
            print(json.dumps(_values(record, by), ensure_ascii=False))
    else:
        output.print(titled("Usage", usage_table(totals, by)) if totals else "Nothing was used.")
    if overflow:
        errors.print(
            f"[yellow]{overflow:,} answers were counted as `other`: too many tenants and models in one hour.[/]"
        )
    if missing:
        errors.print(f"[red]Incomplete: no answer from {escape(', '.join(missing))}.[/]")
        raise typer.Exit(EXIT_FAILED)


def add_up(records: Iterable[UsageRecord], by: Period) -> list[UsageRecord]:
    """Return the sums by tenant, model, version and unit over each period, ordered."""
    length = {Period.HOUR: HOUR_SECONDS, Period.DAY: 24 * HOUR_SECONDS}.get(by)
    sums: dict[tuple[int, str, str, str, str], UsageRecord] = {}
    for record in records:
        begin = record.hour // length * length if length else 0
        key = (begin, record.tenant, record.model, record.version, record.unit)
        known = sums.get(key)
        if known is None:
            sums[key] = replace(record, hour=begin)
        else:
            sums[key] = replace(
                known,
                calls=known.calls + record.calls,
                amount=known.amount + record.amount,
                compute_seconds=known.compute_seconds + record.compute_seconds,
            )
    return [sums[key] for key in sorted(sums)]


def usage_table(records: Iterable[UsageRecord], by: Period) -> Table:
    """Return one row a record."""
    table = plain_table()
    for column in (*((by.value,) if by is not Period.TOTAL else ()), "tenant", "model", "version"):
        table.add_column(column, overflow="fold")
    for column in ("calls", "amount"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    table.add_column("compute", justify="right")
    for one in records:
        when = (str(_period(one, by)),) if by is not Period.TOTAL else ()
        names = [escape(name) for name in (one.tenant, one.model, one.version)]
        table.add_row(*when, *names, f"{one.calls:,}", f"{one.amount:,}", one.unit, f"{one.compute_seconds:,.2f} s")
    return table


def _of_mesh(target: str | None, selection: Selection) -> tuple[list[UsageRecord], int, list[str]]:
    targets = service_targets(target)
    records: list[UsageRecord] = []
    overflows: dict[str, int] = {}
    missing = []
    for name in SERVICES[1:]:
        responses = _ask(targets[name], selection)
        if not responses:
            missing.append(f"{name} ({targets[name]})")
            continue
        if responses[0].process_id in overflows:  # two names for one process
            continue
        overflows[responses[0].process_id] = responses[-1].overflow_count
        records += [_record(message) for response in responses for message in response.records]
    if not overflows:
        raise CommandFailed(
            f"no model service answers: {', '.join(missing)}",
            "Start a mesh with `marquee up`; --target names the orchestrator of another one.",
            EXIT_NO_MESH,
        )
    return records, sum(overflows.values()), missing


def _ask(target: str, selection: Selection) -> list[pb.ExportUsageResponse]:
    """Return what a service answers, which is at least one response; nothing when it does not answer."""
    request = pb.ExportUsageRequest(tenant=selection.tenant)
    if selection.since is not None:
        request.start_time.CopyFrom(timestamp_pb2.Timestamp(seconds=int(selection.since)))
    if selection.until is not None:
        request.end_time.CopyFrom(timestamp_pb2.Timestamp(seconds=int(selection.until)))
    seconds = command_settings().timeout
    if not listens(target, seconds):
        return []
    with open_channel(target, tls=command_tls()) as channel:
        try:
            return list(UsageServiceStub(channel).ExportUsage(request, timeout=seconds))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise CommandFailed(error.details() or "", exit_code=EXIT_WRONG_INPUT) from error
            return []


def _of_files(paths: list[Path]) -> Iterator[UsageRecord]:
    with ExitStack() as stack:
        files = [stack.enter_context(path.open(encoding="utf-8", errors="replace")) for path in paths]
        skipped: list[str] = []
        yield from read_usage((line for file in files for line in file), skipped.append)
    if skipped:
        errors.print(f"[yellow]{len(skipped):,} lines could not be read and were left out.[/]")


def _record(message: pb.UsageRecord) -> UsageRecord:
    return UsageRecord(
        hour=message.start_time.seconds,
        tenant=message.tenant,
        model=message.model,
        version=message.version,
        unit=message.unit,
        calls=message.call_count,
        amount=message.amount,
        compute_seconds=message.compute_seconds,
    )


def _moment(option: str, text: str) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{option}: {text!r} is no date; write it as 2026-01-31 or 2026-01-31T18:00", exit_code=EXIT_WRONG_INPUT
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _period(record: UsageRecord, by: Period) -> str:
    moment = datetime.fromtimestamp(record.hour, UTC)
    return moment.strftime("%Y-%m-%d" if by is Period.DAY else "%Y-%m-%dT%H:%MZ")


def _values(record: UsageRecord, by: Period) -> dict[str, str | int | float]:
    values = as_json(record)
    del values["hour"]
    return values if by is Period.TOTAL else {by.value: _period(record, by), **values}


def _print_csv(records: list[UsageRecord], by: Period) -> None:
    empty = UsageRecord(0, "", "", "", "", 0, 0, 0.0)
    writer = csv.DictWriter(sys.stdout, list(_values(empty, by)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_values(record, by) for record in records)
