from __future__ import annotations

import time

import pytest

from services.cli.ports import free_ports
from services.cli.status import _neighbour
from tests.unit.services.cli.conftest import Run


def test_a_mesh_without_model_services_is_not_whole(run: Run, target: str) -> None:
    result = run("status")
    assert result.exit_code == 1
    assert target in result.output
    assert result.output.count("unreachable") == 3
    assert "0 items, 0 events" in result.output
    assert "marquee import movielens" in result.output
    assert "Not everything serves" in result.output


def test_without_a_mesh_the_advice_is_to_start_one(run: Run) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    result = run("status", "--target", f"127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "marquee up" in result.output


def test_waiting_ends_when_the_time_is_over(run: Run, target: str) -> None:
    start = time.monotonic()
    assert run("status", "--wait", "0.5").exit_code == 1
    assert 0.4 < time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("target", "expected"),
    [("127.0.0.1:51000", "127.0.0.1:51002"), ("dns:///orchestrator:50060", "dns:///orchestrator:50062"), ("x", "x")],
)
def test_services_are_looked_for_beside_the_orchestrator(target: str, expected: str) -> None:
    assert _neighbour(target, 2) == expected
