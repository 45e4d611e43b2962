"""Real processes: what a mesh leaves behind, and what it says when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from services.cli.local_mesh import SERVICES, LocalMesh, MeshNotReady
from services.cli.ports import PortTaken, check_port, free_ports
from services.cli.service_process import ServiceProcess
from services.cli.signals import stop_signals_as_interrupts
from tests.unit.services.cli.conftest import Run

# Starts a mesh, says which processes it has, and waits to be killed.
PARENT = """
import json, sys, time
from pathlib import Path
from services.cli.local_mesh import LocalMesh
with LocalMesh(Path(sys.argv[1]), port=0, grace_seconds=2) as mesh:
    print(json.dumps(mesh.pids), flush=True)
    time.sleep(60)
"""


def wait_until_gone(pids: list[int], seconds: float) -> list[int]:
    """Return the processes that still run after `seconds`."""
    deadline = time.monotonic() + seconds
    left = pids
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.05)
    return left


def four_free_ports() -> int:
    """Return the first of four free ports in a row."""
    while True:
        (base,) = free_ports("127.0.0.1", 1)
        try:
            for port in range(base, base + 4):
                check_port("127.0.0.1", port, "any")
        except PortTaken:
            continue
        return base


@pytest.fixture
def classical(tmp_path: Path) -> ServiceProcess:
    """The one service that needs no model to be ready."""
    mesh = LocalMesh(tmp_path, port=0, grace_seconds=5)
    return mesh.services["classical"]


def test_a_service_starts_dies_starts_again_and_stops(classical: ServiceProcess) -> None:
    assert (classical.pid, classical.exit_code, classical.resident_bytes()) == (None, None, 0)
    classical.start()
    try:
        deadline = time.monotonic() + 30
        while classical.health() != "serving":
            assert time.monotonic() < deadline, classical.problems()
            time.sleep(0.05)
        assert classical.startup_seconds is not None
        assert 0 < classical.startup_seconds < 30
        assert classical.resident_bytes() > 10e6
        classical.kill()
        assert (classical.pid, classical.exit_code, classical.health()) == (None, -signal.SIGKILL, "unreachable")
        classical.start()
        while classical.health() != "serving":
            assert time.monotonic() < deadline + 30, classical.problems()
            time.sleep(0.05)
        classical.terminate()
        classical.wait(10)
        assert classical.exit_code == 0
        log = classical.log_path.read_text()
        assert '"draining"' in log
        assert '"stopped"' in log
    finally:
        classical.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    pids = json.loads(parent.stdout.readline())
    assert set(pids) == set(SERVICES)
    assert all(psutil.pid_exists(pid) for pid in pids.values())
    time.sleep(1.0)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(list(pids.values()), 15) == []


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        mesh = LocalMesh(tmp_path, port=port - 2)  # the port of the vision service
        with pytest.raises(PortTaken, match=f"port {port} of the vision service is taken by process {os.getpid()}"):
            mesh.start()
        assert mesh.pids == {}


def test_a_port_whose_connections_just_closed_is_free() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            served, _ = listener.accept()
            served.close()  # this side now waits out late packets
    check_port("127.0.0.1", port, "text")


def test_a_service_that_ends_is_said_with_its_reason(tmp_path: Path) -> None:
    with (
        LocalMesh(tmp_path, port=0, environment={"MARQUEE_CLASSICAL_ENGINES": "0"}) as mesh,
        pytest.raises(MeshNotReady, match=r"(?s)classical service ended with code 1.*greater than or equal to 1"),
    ):
        mesh.wait_ready()


def test_a_service_that_refuses_to_serve_is_said_with_its_reason(tmp_path: Path) -> None:
    nothing = tmp_path / "no-models"
    with (
        LocalMesh(tmp_path, port=0, environment={"MARQUEE_TEXT_MODEL_REPOSITORY": str(nothing)}) as mesh,
        pytest.raises(MeshNotReady, match=r"the text service does not serve: .*no-models"),
    ):
        mesh.wait_ready()
    assert mesh.pids == {}


def test_an_earlier_mesh_is_forgotten_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "bundles" / "default").mkdir(parents=True)
    (tmp_path / "marquee.sqlite").write_bytes(b"")
    (tmp_path / "mine.txt").write_bytes(b"")
    with LocalMesh(tmp_path, port=0):
        assert (tmp_path / "bundles").exists()
    with LocalMesh(tmp_path, port=0, fresh=True):
        assert not (tmp_path / "bundles").exists()
    assert (tmp_path / "mine.txt").exists()


def test_up_says_which_port_is_taken(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("up", "--port", str(port), "--data", str(tmp_path))
    assert result.exit_code == 1
    assert f"port {port} of the orchestrator service is taken" in result.output
    assert "--port" in result.output


def test_up_mends_what_breaks_runs_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-m", "services.cli.main", "up", "--port", str(four_free_ports()), "--quiet"]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        cwd=os.sep,
    )
    assert process.stdout is not None
    said: list[str] = []

    def read_until(words: str) -> None:
        for line in process.stdout or ():
            said.append(line)
            if words in line:
                return
        pytest.fail("".join(said))

    def children() -> list[psutil.Process]:
        return psutil.Process(process.pid).children(recursive=True)

    read_until("Ready")
    before = {child.pid for child in children()}
    assert len(before) == 4
    next(child for child in children() if "services.classical.main" in child.cmdline()).kill()
    read_until("classical was ended by signal 9")
    read_until("classical: started again")
    after = {child.pid for child in children()}
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, "".join(said) + rest
    assert wait_until_gone([*before | after], 1) == []
    assert "Stopped; no process is left." in rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_every_way_to_stop_looks_like_ctrl_c(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_signals_as_interrupts():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
