from __future__ import annotations

import socket

import pytest

from services.cli.health import HealthProbe, listens
from services.cli.ports import free_ports


def test_nobody_there_is_unreachable_at_once() -> None:
    (port,) = free_ports("127.0.0.1", 1)
    assert not listens(f"127.0.0.1:{port}", 1)
    with HealthProbe(f"127.0.0.1:{port}") as probe:
        assert probe.look() == "unreachable"


def test_somebody_else_is_unreachable_too() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert listens(address, 1)
        with HealthProbe(address) as probe:
            assert probe.look(0.2) == "unreachable"


@pytest.mark.parametrize("target", ["dns:///nowhere.invalid:50060", "ipv4:127.0.0.1:1", "unix:/tmp/none", "name"])
def test_targets_that_only_grpc_understands_are_left_to_it(target: str) -> None:
    assert listens(target, 0.1)


def test_an_orchestrator_serves(target: str) -> None:
    with HealthProbe(target) as probe:
        assert probe.look(2) == "serving"
