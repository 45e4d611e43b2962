"""The mesh with TLS between its services and towards callers, with certificates given as Secrets."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images.engine import Engine
from marquee_client import Tls, Unavailable
from tests.cluster.load_program import picture
from tests.e2e.containers.mesh import COMPONENTS, ContainerMesh, container_mesh
from tests.e2e.containers.rendered import NAMESPACE, RELEASE, Object
from tests.support.certificates import Authority

_AUTHORITY = Authority("marquee")
_PATIENCE_SECONDS = 60


def _secret(component: str) -> Object:
    service = f"{RELEASE}-{component}"
    hosts = tuple(
        f"{service}{end}" for end in ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")
    )
    issued = _AUTHORITY.issue(service, hosts)
    files = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": issued.authority}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{component}-certificate", "labels": {}},
        "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Secrets lie."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def mesh(engine: Engine, folder: Path) -> Iterator[ContainerMesh]:
    """The mesh, serving."""
    owners = (*COMPONENTS, "trainer")
    values = {
        "tls": {
            "enabled": True,
            "mode": "existingSecret",
            "existingSecrets": {name: f"{name}-certificate" for name in owners},
        }
    }
    with container_mesh(engine, folder, values, [_secret(name) for name in owners]) as made:
        made.start()
        yield made


def test_helm_test_passes(mesh: ContainerMesh) -> None:
    code, log = mesh.run_job(mesh.rendered.test_pod())

    assert code == 0, log
    assert "A fallback stood in" not in log


def test_every_model_service_answers_the_orchestrator(mesh: ContainerMesh, folder: Path) -> None:
    secret = folder / "secrets" / "trainer-certificate"
    tls = Tls(secret / "ca.crt", secret / "tls.crt", secret / "tls.key", server_name=f"{RELEASE}-orchestrator")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with mesh.client(tls) as client:
        # Which service was ready first is chance, and handshakes take a second on a busy machine.
        while client.moderate_text(["well played"]).degraded or client.analyze_image(picture()).degraded:
            assert time.monotonic() < deadline, "a model service does not answer the orchestrator"
            time.sleep(0.5)

    with mesh.load(LOAD_RATE="5", LOAD_SECONDS="5") as load:
        load.wait_until_it_calls()
        report = load.finish()

    assert not report.failed, report.examples
    assert not report.incomplete
    assert set(report.calls) >= {"recommend", "moderate_text", "analyze_text", "analyze_image"}


def test_who_shows_no_certificate_is_refused(mesh: ContainerMesh, folder: Path) -> None:
    secret = folder / "secrets" / "trainer-certificate"
    name = f"{RELEASE}-orchestrator"
    with mesh.client(Tls(secret / "ca.crt", secret / "tls.crt", secret / "tls.key", server_name=name)) as client:
        assert client.recommend("user-1").steps

    for refused in (None, Tls(secret / "ca.crt", server_name=name)):
        with mesh.client(refused) as client, pytest.raises(Unavailable):
            client.recommend("user-1", timeout=3)
