"""Every pair of switches, in all four combinations."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.chart import MODEL_SERVICES, SERVING, chart
from tests.support.chart_rules import broken_rules

# What each switch sets when it is on; off is the default.
SWITCHES: dict[str, dict[str, Any]] = {
    "postgresql": {"store.type": "postgresql", "store.postgresql.existingSecret": "database"},
    "given token keys": {"tokenKeys.existingSecret": "given-keys"},
    "no token keys": {"tokenKeys.create": False},
    "no bundles": {"bundles.type": "emptyDir"},
    "shared bundles": {"bundles.accessMode": "ReadWriteMany", "bundles.storageClassName": "nfs", "bundles.keep": True},
    "given bundles": {"bundles.existingClaim": "given-bundles"},
    "given store": {"store.sqlite.existingClaim": "given-store"},
    "tls": {"tls.enabled": True},
    "given certificates": {
        "tls.mode": "existingSecret",
        **{f"tls.existingSecrets.{one}": f"given-{one}" for one in (*SERVING, "trainer")},
    },
    "given issuer": {"tls.certManager.issuerRef.name": "corporate", "tls.certManager.issuerRef.kind": "ClusterIssuer"},
    "callers without certificates": {"tls.requireClientCertificate": False},
    "no test": {"test.enabled": False},
    "no trainer": {"trainer.enabled": False},
    "gpu": {"text.gpu.enabled": True, "vision.gpu.enabled": True, "text.gpu.runtimeClassName": "nvidia"},
    "models in a volume": {
        f"{one}.models.{name}": value
        for one in MODEL_SERVICES
        for name, value in {"source": "persistentVolumeClaim", "existingClaim": "given-models"}.items()
    },
    "models copied": {
        f"text.models.{name}": value for name, value in {"source": "initContainer", "image": "models:1"}.items()
    },
    "no video": {"vision.video": False, "vision.facesTenants": ["studio-one", "studio-two"]},
    "given checkpoint keys": {"vision.checkpointKeys.existingSecret": "given-checkpoints"},
    "no network policies": {"networkPolicy.enabled": False},
    "monitoring": {
        "monitoring.serviceMonitor.enabled": True,
        "monitoring.prometheusRule.enabled": True,
        "monitoring.dashboards.enabled": True,
    },
    "tracing": {"tracing.endpoint": "http://collector.observability.svc:4317"},
    "scaling by processors": {f"{one}.autoscaling.enabled": True for one in SERVING},
    "scaling by queue": {f"{one}.autoscaling.metric": "queue" for one in MODEL_SERVICES},
    "no budgets": {f"{one}.podDisruptionBudget.enabled": False for one in SERVING},
    "operators": {"operatorRole.create": True, "operatorRole.subjects": [{"kind": "Group", "name": "media"}]},
    "no spread": {"pods.topologySpread.enabled": False},
    "everything of a pod": {
        "pods.labels": {"team": "media"},
        "pods.annotations": {"example.com/a": "b"},
        "pods.extraEnv": [{"name": "TZ", "value": "UTC"}],
        "pods.nodeSelector": {"disk": "fast"},
        "pods.tolerations": [{"key": "media", "operator": "Exists"}],
        "pods.affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "pods.priorityClassName": "high",
        "imagePullSecrets": ["given-registry"],
        "commonLabels": {"cost-centre": "7"},
        "commonAnnotations": {"example.com/owner": "media"},
    },
    "settings": {
        "text.settings": {"version_policies": {"*": "latest:1"}, "response_cache_bytes": 67108864},
        "orchestrator.settings": {"slate_days": 14, "log_level": "warning"},
    },
    "another name": {"fullnameOverride": "m" * 40},
    "no wait": {"shutdown.preStopSeconds": 0, "shutdown.gracePeriodSeconds": 40},
}
# No two switches look at the same bits of a row's number, so over all rows each pair is on and off in all four ways.
ROWS = range(32)


def _is_on(switch: int, row: int) -> bool:
    return ((switch + 1) & row).bit_count() % 2 == 1


def _values(row: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for number, switch in enumerate(SWITCHES.values()):
        if _is_on(number, row):
            values |= switch
    # What does not fit each other, and is refused: see test_refused_values.py.
    if "store.type" not in values:
        values.pop("orchestrator.autoscaling.enabled", None)
    elif "tokenKeys.existingSecret" not in values:
        values.pop("tokenKeys.create", None)
    if "bundles.type" in values:
        values["trainer.enabled"] = False
    return values


def test_the_rows_hold_every_pair_of_switches() -> None:
    assert len(SWITCHES) < len(ROWS)
    for one, other in itertools.combinations(range(len(SWITCHES)), 2):
        assert len({(_is_on(one, row), _is_on(other, row)) for row in ROWS}) == 4


@pytest.mark.parametrize("row", ROWS)
def test_every_combination_keeps_the_rules(row: int) -> None:
    assert list(broken_rules(chart(_values(row)))) == []
