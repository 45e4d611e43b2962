"""PostgreSQL in the namespace of the tests: one pod, whose data go with it."""

from __future__ import annotations

import secrets
from typing import Any

from services.cli.cluster.release import is_ready
from tests.cluster.cluster import Cluster
from tests.cluster.settings import ClusterTestSettings

_NAME = "marquee-test-database"
_START_SECONDS = 180.0


class NotStarted(RuntimeError):
    """There is no PostgreSQL; the text says why."""


def start_postgresql(cluster: Cluster, namespace: str, settings: ClusterTestSettings) -> dict[str, Any]:
    """Start PostgreSQL; returns the chart's values of `store`.

    Raises:
        NotStarted: no image is named, or it does not run here.
    """
    if not settings.postgresql_image:
        raise NotStarted("MARQUEE_CLUSTER_POSTGRESQL_IMAGE is empty")
    password = secrets.token_hex(16)
    labels = {"app": _NAME}
    url = f"postgresql://marquee:{password}@{_NAME}.{namespace}.svc/marquee"
    for name, content in ((f"{_NAME}-password", {"password": password}), (_NAME, {"url": url})):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}
        cluster.create(namespace, "secrets", body)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _NAME},
        "spec": {"selector": labels, "ports": [{"name": "postgresql", "port": 5432}]},
    }
    cluster.create(namespace, "services", service)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": settings.postgresql_user_id,
                "runAsGroup": settings.postgresql_user_id,
                "fsGroup": settings.postgresql_user_id,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(settings.postgresql_image)],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    }
    cluster.create(namespace, "pods", pod)
    path = f"/api/v1/namespaces/{namespace}/pods/{_NAME}"
    try:
        cluster.until(lambda: is_ready(cluster.api.get(path)), "it is not ready", _START_SECONDS)
    except AssertionError as error:
        status = cluster.api.get(path).get("status") or {}
        states = [one.get("state") for one in status.get("containerStatuses") or []]
        cluster.api.delete(path)
        image = settings.postgresql_image
        raise NotStarted(f"PostgreSQL ({image}) did not start, {states}; name another image with "
                         "MARQUEE_CLUSTER_POSTGRESQL_IMAGE") from error  # fmt: skip
    return {"type": "postgresql", "postgresql": {"existingSecret": _NAME}}


def _container(image: str) -> dict[str, Any]:
    password = {"secretKeyRef": {"name": f"{_NAME}-password", "key": "password"}}
    return {
        "name": "postgresql",
        "image": image,
        "env": [
            {"name": "POSTGRES_USER", "value": "marquee"},
            {"name": "POSTGRES_DB", "value": "marquee"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": password},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
        ],
        "ports": [{"name": "postgresql", "containerPort": 5432}],
        # Over TCP: the server that sets the database up listens on its socket only.
        "readinessProbe": {
            "exec": {"command": ["pg_isready", "--host=127.0.0.1", "--username=marquee"]},
            "periodSeconds": 2,
        },
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
