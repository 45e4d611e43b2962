from __future__ import annotations

import pytest

from services.cli.cluster import bundle
from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import pod
from tests.support.scripted_mesh import Script
from tests.unit.services.cli.conftest import Run


def test_which_pods_have_which_bundles(script: Script, run: Run) -> None:
    script.loaded["vision"].remove("b0")
    lines = run("cluster", "bundle", "list").output.splitlines()
    by_version = {line.split()[0]: line for line in lines if line.strip().startswith("b") and "pods" in line}
    assert "serves" in by_version["b1"]
    assert "3 of 3 pods" in by_version["b2"]
    assert "before" in by_version["b0"]
    assert "2 of 3 pods" in by_version["b0"]


def test_promote_and_roll_back(script: Script, run: Run) -> None:
    result = run("cluster", "bundle", "promote", "b2")
    assert result.exit_code == 0, result.output
    assert script.serving == ["b2", "b1"]
    assert "Loaded by every pod" in result.output
    assert run("cluster", "bundle", "rollback").exit_code == 0
    assert script.serving == ["b1", "b2"]


def test_a_bundle_that_a_service_refuses(script: Script, run: Run) -> None:
    result = run("cluster", "bundle", "promote", "b9")
    assert result.exit_code == 1
    assert "no service has bundle b9" in result.output
    assert script.serving == ["b1", "b0"]


def test_a_pod_that_has_it_not_is_named(
    script: Script, cluster: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_ALL_PODS_SECONDS", 0.0)
    cluster.put("/api/v1/namespaces/media/pods", pod("text", 1))  # nobody answers its port
    result = run("cluster", "bundle", "promote", "b2")
    assert result.exit_code == 1
    assert "These pods have not loaded it yet: marquee-text-1" in result.output
