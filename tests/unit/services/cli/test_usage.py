from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2

from marquee.common.v1 import usage_pb2 as pb
from marquee.common.v1 import usage_pb2_grpc
from services.cli.ports import free_ports
from services.runtime.observability.usage import UsageRecord
from services.runtime.observability.usage_journal import as_json
from tests.unit.services.cli.conftest import Run

MIDNIGHT = 1_767_225_600  # 2026-01-01


class Metered(usage_pb2_grpc.UsageServiceServicer):
    """A service that answered twenty calls of two tenants in four hours of two days."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.overflow = 0
        self.requests: list[pb.ExportUsageRequest] = []

    def ExportUsage(self, request: pb.ExportUsageRequest, context: Any) -> Iterator[pb.ExportUsageResponse]:
        self.requests.append(request)
        if request.tenant == "Bad":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tenant: is no tenant name")
        for hour in (0, 1, 24, 25):
            records = [
                pb.UsageRecord(
                    start_time=timestamp_pb2.Timestamp(seconds=MIDNIGHT + hour * 3600),
                    tenant=tenant,
                    model=self.model,
                    version="1",
                    unit="tokens",
                    call_count=calls,
                    amount=calls * 1_000,
                    compute_seconds=calls / 8,
                )
                for tenant, calls in (("arcade", 2), ("cinema", 3))
                if request.tenant in ("", tenant)
            ]
            yield pb.ExportUsageResponse(process_id=self.model, records=records, overflow_count=self.overflow)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Metered]]:
    """Text and vision; the classical service does not answer."""
    servers, metered = [], {name: Metered(name) for name in ("text", "vision")}
    for name, servicer in metered.items():
        server = grpc.server(ThreadPoolExecutor(2))
        usage_pb2_grpc.add_UsageServiceServicer_to_server(servicer, server)
        monkeypatch.setenv(f"MARQUEE_{name.upper()}_TARGET", f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.start()
        servers.append(server)
    (nobody,) = free_ports("127.0.0.1", 1)
    monkeypatch.setenv("MARQUEE_CLASSICAL_TARGET", f"127.0.0.1:{nobody}")
    yield metered
    stopped: list[threading.Event] = [server.stop(0) for server in servers]
    for event in stopped:
        event.wait()


def test_the_services_are_added_up_and_gaps_are_said(run: Run, services: dict[str, Metered]) -> None:
    result = run("usage")
    assert result.exit_code == 1
    assert "no answer from classical" in result.output
    rows = [line.split() for line in result.output.splitlines() if "tokens" in line]
    assert rows == [
        ["arcade", "text", "1", "8", "8,000", "tokens", "1.00", "s"],
        ["arcade", "vision", "1", "8", "8,000", "tokens", "1.00", "s"],
        ["cinema", "text", "1", "12", "12,000", "tokens", "1.50", "s"],
        ["cinema", "vision", "1", "12", "12,000", "tokens", "1.50", "s"],
    ]


def test_csv_can_be_read_by_a_program(run: Run, services: dict[str, Metered]) -> None:
    result = run("usage", "--tenant", "arcade", "--by", "day", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert rows[0] == {
        "day": "2026-01-01",
        "tenant": "arcade",
        "model": "text",
        "version": "1",
        "unit": "tokens",
        "calls": "4",
        "amount": "4000",
        "compute_seconds": "0.5",
    }
    assert [(row["day"], row["model"]) for row in rows] == [
        ("2026-01-01", "text"),
        ("2026-01-01", "vision"),
        ("2026-01-02", "text"),
        ("2026-01-02", "vision"),
    ]


def test_json_has_one_record_a_line(run: Run, services: dict[str, Metered]) -> None:
    result = run("usage", "--by", "hour", "--format", "json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) == 16
    assert records[0]["hour"] == "2026-01-01T00:00Z"
    assert sum(record["calls"] for record in records) == 40


def test_tenant_and_dates_are_asked_for(run: Run, services: dict[str, Metered]) -> None:
    run("usage", "--tenant", "arcade", "--since", "2026-01-01", "--until", "2026-01-02T12:30+02:00")
    (request,) = services["text"].requests
    assert request.tenant == "arcade"
    assert request.start_time.seconds == MIDNIGHT
    assert request.end_time.seconds == MIDNIGHT + 24 * 3600 + 10 * 3600 + 1800


def test_one_process_behind_two_names_counts_once(
    run: Run, services: dict[str, Metered], monkeypatch: pytest.MonkeyPatch
) -> None:
    services["vision"].model = "text"
    result = run("usage", "--format", "json")
    assert sum(json.loads(line)["calls"] for line in result.stdout.splitlines()) == 20


def test_what_could_not_be_told_apart_is_said(run: Run, services: dict[str, Metered]) -> None:
    services["text"].overflow = 1_234
    assert "1,234 answers were counted as `other`" in run("usage").output


def test_a_wrong_date_or_tenant_is_the_callers_fault(run: Run, services: dict[str, Metered]) -> None:
    wrong = run("usage", "--since", "yesterday")
    assert wrong.exit_code == 2
    assert "'yesterday' is no date" in wrong.output
    refused = run("usage", "--tenant", "Bad")
    assert refused.exit_code == 2
    assert "tenant: is no tenant name" in refused.output


def test_without_a_mesh_the_advice_is_to_start_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, port in zip(("TEXT", "VISION", "CLASSICAL"), free_ports("127.0.0.1", 3), strict=True):
        monkeypatch.setenv(f"MARQUEE_{name}_TARGET", f"127.0.0.1:{port}")
    result = run("usage")
    assert result.exit_code == 3
    assert "marquee up" in result.output


def test_usage_files_are_read_without_a_mesh(run: Run, tmp_path: Path) -> None:
    lines = [
        json.dumps({"process": "p", "sequence": number, **as_json(record)})
        for number, record in enumerate(
            (
                UsageRecord(MIDNIGHT, "arcade", "minilm", "1", "tokens", 2, 20, 0.5),
                UsageRecord(MIDNIGHT + 3600, "arcade", "minilm", "1", "tokens", 3, 30, 0.5),
                UsageRecord(MIDNIGHT, "cinema", "minilm", "1", "tokens", 1, 10, 0.5),
            ),
            1,
        )
    ]
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text("\n".join(lines[:2]) + "\n")
    second.write_text("\n".join(lines) + '\n{"proc')
    words = ("usage", "--file", str(first), "--file", str(second), "--format", "json")
    result = run(*words)
    assert "1 lines could not be read" in result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(record["tenant"], record["calls"], record["amount"]) for record in records] == [
        ("arcade", 5, 50),
        ("cinema", 1, 10),
    ]
    later = run(*words, "--since", "2026-01-01T01:00")
    assert [json.loads(line)["calls"] for line in later.stdout.splitlines()] == [3]
    missing = run("usage", "--file", str(tmp_path / "nothing"))
    assert missing.exit_code == 1
    assert "No such file" in missing.output


def test_nothing_used_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    result = run("usage", "--file", str(tmp_path / "empty"))
    assert result.exit_code == 0
    assert "Nothing was used" in result.output
