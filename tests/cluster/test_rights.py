"""`marquee cluster` with all rights and with none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from services.cli.cluster.release import COMPONENTS
from tests.cluster.mesh import Mesh

_ACCOUNT = "nobody"


@pytest.fixture
def powerless(mesh: Mesh, tmp_path: Path) -> Path:
    """A kubeconfig of an account that may do nothing."""
    cluster, api = mesh.cluster, mesh.cluster.api
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT}}
    if api.find(f"/api/v1/namespaces/{mesh.namespace}/serviceaccounts/{_ACCOUNT}") is None:
        cluster.create(mesh.namespace, "serviceaccounts", account)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = api.create(f"/api/v1/namespaces/{mesh.namespace}/serviceaccounts/{_ACCOUNT}/token", request)
    authority = api.configuration.ssl_ca_cert
    server: dict[str, object] = {"server": api.host}
    if not api.configuration.verify_ssl:
        server["insecure-skip-tls-verify"] = True
    elif authority:
        server["certificate-authority"] = str(Path(authority).resolve())
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": server}],
        "users": [{"name": _ACCOUNT, "user": {"token": token["status"]["token"]}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": _ACCOUNT, "namespace": mesh.namespace}}],
        "current-context": "it",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def test_an_account_without_rights_is_told_which_one_it_lacks(mesh: Mesh, powerless: Path) -> None:
    refused = mesh.marquee("status", kubeconfig=powerless)

    said = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode != 0
    assert f"no right to list deployments (apps) in namespace {mesh.namespace}" in said
    assert "Traceback" not in said


def test_status_shows_every_component_serving(mesh: Mesh) -> None:
    done = mesh.marquee("status", "--json")

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert {pod["component"] for pod in shown["pods"]} == set(COMPONENTS)
    assert all(pod["ready"] for pod in shown["pods"])


def test_doctor_finds_nothing_that_keeps_it_from_working(mesh: Mesh) -> None:
    done = mesh.marquee("doctor")

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
