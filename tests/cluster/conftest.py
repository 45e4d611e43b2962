"""Fixtures of the tests on a cluster. Without one they are skipped, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.chart.tools import ToolMissing, find
from marquee_client import MarqueeClient
from services.cli.cluster.api import connect
from services.cli.cluster.mesh import orchestrator
from services.cli.failures import CommandFailed
from tests.cluster.cluster import Cluster
from tests.cluster.database import NotStarted, start_postgresql
from tests.cluster.helm import Helm
from tests.cluster.merging import merged
from tests.cluster.mesh import RELEASE, TOKEN_KEYS, Mesh, Namespaces, secret
from tests.cluster.preparation import ImageMissing, bring_images, check_images
from tests.cluster.settings import ClusterTestSettings
from tests.cluster.small_catalogue import fill
from tests.cluster.telling import tell

__all__ = ["tell"]

_HERE = Path(__file__).parent
_SECONDS = 1200
_OLDEST_MINOR = 30


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of these tests."""
    config.addinivalue_line(
        "markers", "cluster: needs a Kubernetes cluster; skipped where the kubeconfig leads to none"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests on a cluster the time that rollouts take."""
    for item in items:
        if _HERE in item.path.parents and "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def settings() -> ClusterTestSettings:
    """What MARQUEE_CLUSTER_* say."""
    try:
        return ClusterTestSettings()
    except ValidationError as error:
        first = error.errors()[0]
        pytest.fail(f"MARQUEE_CLUSTER_{str(first['loc'][0]).upper()}: {first['msg']}", pytrace=False)


@pytest.fixture(scope="session")
def cluster(settings: ClusterTestSettings) -> Cluster:
    """The cluster that the kubeconfig leads to."""
    try:
        api = connect(settings.context)
        version = api.get("/version")
        find("helm")
    except (CommandFailed, ToolMissing) as error:
        pytest.skip(f"no cluster to test on: {error}")
    minor = int("".join(filter(str.isdigit, version["minor"])))
    if minor < _OLDEST_MINOR:
        pytest.skip(f"the cluster runs Kubernetes 1.{minor}, and Marquee needs 1.{_OLDEST_MINOR}")
    return Cluster(api, settings.patience_seconds)


@pytest.fixture(scope="session")
def namespaces(cluster: Cluster, settings: ClusterTestSettings) -> Iterator[Namespaces]:
    """Makes namespaces, and deletes them at the end."""
    made = Namespaces(cluster, settings)
    yield made
    made.close()


@pytest.fixture(scope="session")
def values(settings: ClusterTestSettings) -> dict[str, Any]:
    """The chart's values for this cluster."""
    return merged(settings.image_values(), settings.storage_values(), settings.own_values())


@pytest.fixture(scope="session")
def images(cluster: Cluster, settings: ClusterTestSettings, namespaces: Namespaces, values: dict[str, Any]) -> None:
    """All images are on a node: what is timed later pulls nothing."""
    namespace = namespaces.make("images")
    try:
        rendered = Helm(RELEASE, namespace, values, settings.context).render()
        bring_images(settings.load_command, rendered)
        check_images(cluster, namespace, rendered)
    except ImageMissing as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def mesh(
    cluster: Cluster, settings: ClusterTestSettings, namespaces: Namespaces, values: dict[str, Any], images: None
) -> Mesh:
    """The mesh that most tests share: two orchestrators where PostgreSQL starts, two of classical, one of the rest."""
    namespace = namespaces.make("mesh")
    cluster.create(namespace, "secrets", secret(TOKEN_KEYS, {"token-keys": "first-" + "k" * 40}))
    own: dict[str, Any] = {"tokenKeys": {"existingSecret": TOKEN_KEYS}, "classical": {"replicas": 2}}
    try:
        store = start_postgresql(cluster, namespace, settings)
        own |= {"store": store, "orchestrator": {"replicas": 2}}
        why_not = ""
    except NotStarted as error:
        why_not = str(error)
    helm = Helm(RELEASE, namespace, merged(values, own), settings.context, settings.patience_seconds)
    helm.install()
    made = Mesh(cluster, helm, not why_not, why_not)
    with orchestrator(made.release) as client:
        fill(client)
    trained = made.marquee("train")
    assert trained.returncode == 0, f"marquee cluster train:\n{trained.stdout}\n{trained.stderr}"
    return made


@pytest.fixture
def client(mesh: Mesh) -> Iterator[MarqueeClient]:
    """A client of an orchestrator, through a port-forward."""
    with orchestrator(mesh.release) as connected:
        yield connected
