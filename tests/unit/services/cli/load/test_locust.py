"""The Locust file, distributed: a master and two workers, whose totals must be what the server saw."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee_client import MarqueeClient
from services.cli.ports import free_ports
from tests.support.processes import REPOSITORY

EVENTS_A_CALL = {"game: session events": 3, "game: like": 1, "streaming: page view": 1, "streaming: watched": 1}


def locust(target: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "tests/load/locustfile.py", "--host", target, *words],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_master_and_two_workers_count_what_the_server_saw(target: str, tmp_path: Path) -> None:
    with MarqueeClient(target) as client:
        client.upsert_items([catalog_pb.Item(item_id=f"i{number}", title=f"Title {number}") for number in range(50)])
    (port,) = free_ports("127.0.0.1", 1)
    master = locust(
        target, "--master", "--headless", "--expect-workers", "2", "--master-bind-port", str(port),
        "--master-bind-host", "127.0.0.1", "-u", "30", "-r", "30", "-t", "2s", "--stop-timeout", "5",
        "--csv", str(tmp_path / "run"),
    )  # fmt: skip
    workers = [locust(target, "--worker", "--master-port", str(port)) for _ in range(2)]
    printed, _ = master.communicate(timeout=60)
    for worker in workers:
        worker.communicate(timeout=20)
    with (tmp_path / "run_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    counts = {name: int(row["Request Count"]) for name, row in rows.items()}
    assert counts["Aggregated"] == sum(counts.values()) - counts["Aggregated"] > 20
    assert int(rows["Aggregated"]["Failure Count"]) == 0, printed
    written = sum(counts.get(name, 0) * events for name, events in EVENTS_A_CALL.items())
    with MarqueeClient(target) as client:
        assert client.serving_bundle().event_count == written > 0
    assert "game: what to play next" in printed


def test_an_absent_mesh_fails_the_run() -> None:
    (port,) = free_ports("127.0.0.1", 1)
    process = locust(f"127.0.0.1:{port}", "--headless", "-u", "2", "-r", "2", "-t", "1s")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "UNAVAILABLE" in printed
