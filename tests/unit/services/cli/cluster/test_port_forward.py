from __future__ import annotations

import socket
import sys

import pytest

from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import deployment, fill, pod
from tests.support.scripted_mesh import Script
from tests.unit.services.cli.conftest import Run


def interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_it_prints_the_variables_that_lead_there(script: Script, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.cluster.port_forward.time.sleep", interrupt)
    result = run("cluster", "port-forward", "--port", "0", "orchestrator", "text")
    assert result.exit_code == 0
    names = [line.partition("=")[0] for line in result.output.splitlines() if line.startswith("export")]
    assert names == ["export MARQUEE_TARGET", "export MARQUEE_TEXT_TARGET"]


def test_a_local_port_that_is_taken(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("cluster", "port-forward", "text", "--port", port)
    assert result.exit_code == 1
    assert f"port {port} of this machine is taken" in result.output


def test_a_mesh_that_speaks_tls_asks_for_certificates(script: Script, cluster: FakeCluster, run: Run) -> None:
    environment = {"MARQUEE_ORCHESTRATOR_TLS_CERTIFICATE_FILE": "/etc/marquee/tls/tls.crt"}
    cluster.put("/api/v1/namespaces/media/pods", pod("orchestrator", environment=environment))
    cluster.put("/apis/apps/v1/namespaces/media/deployments", deployment("orchestrator", environment=environment))
    result = run("cluster", "bundle", "rollback")
    assert result.exit_code == 2
    assert "release marquee speaks TLS" in result.output
    assert "MARQUEE_TLS_CA_FILE" in result.output


def test_without_the_client_it_says_how_to_install_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    result = run("cluster", "status")
    assert result.exit_code == 2
    assert "pip install 'marquee[cli,cluster]'" in result.output
