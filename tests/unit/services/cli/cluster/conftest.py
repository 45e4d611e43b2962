"""A fake cluster behind a real API server, and a kubeconfig that leads there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.cluster.api import ClusterApi, connect
from tests.support.kubernetes_api import FakeCluster, serving, write_kubeconfig
from tests.support.scripted_mesh import Script, scripted_mesh


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    fake = FakeCluster()
    with serving(fake) as address:
        file = tmp_path / "kubeconfig"
        write_kubeconfig(file, address)
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield fake


@pytest.fixture
def api(cluster: FakeCluster) -> ClusterApi:
    return connect()


@pytest.fixture
def script(cluster: FakeCluster) -> Iterator[Script]:
    """A mesh in the cluster that answers as the test says."""
    known = Script()
    with scripted_mesh(cluster, known):
        yield known
