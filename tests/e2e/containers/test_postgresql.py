"""Two orchestrators on one PostgreSQL: every component is replaced under load, and no call is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deploy.images.engine import Engine
from tests.cluster.small_catalogue import fill
from tests.e2e.containers.mesh import COMPONENTS, ContainerMesh, container_mesh
from tests.support.postgres import PostgresServer
from tests.support.postgres_fixtures import postgres_server

__all__ = ["postgres_server"]

_MOST_INCOMPLETE = 0.05


@pytest.fixture(scope="module")
def mesh(
    engine: Engine, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ContainerMesh]:
    """Two orchestrators, serving; they reach the database through its socket."""
    folder = postgres_server.folder
    folder.chmod(0o755)
    url = postgres_server.url("postgres").replace(f"@127.0.0.1:{postgres_server.port}", "@")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "labels": {}},
        "stringData": {"url": f"{url}?host={folder}&port={postgres_server.port}"},
    }
    values = {
        "store": {"type": "postgresql", "postgresql": {"existingSecret": "database"}},
        "orchestrator": {"replicas": 2},
    }
    with container_mesh(engine, tmp_path_factory.mktemp("ha"), values, [secret], {"orchestrator": folder}) as made:
        made.start()
        yield made


def test_replacing_every_pod_under_load_loses_no_call(
    busy: str,
    mesh: ContainerMesh,
    tell: Callable[[str], None],
) -> None:
    if busy:
        pytest.skip(busy)
    with mesh.client() as client:
        fill(client)
    with mesh.load(LOAD_RATE="8") as load:
        load.wait_until_it_calls()
        codes = {component: mesh.roll(component) for component in COMPONENTS}
        report = load.finish()

    tell(f"all pods replaced: {report}")
    assert not report.failed, report.examples
    assert sum(report.incomplete.values()) <= _MOST_INCOMPLETE * report.total, report.incomplete
    assert all(code == 0 for each in codes.values() for code in each), codes
    with mesh.client() as client:
        stored = list(client.list_user_events(report.writer))
    assert len(stored) == report.acknowledged
