"""What the chart refuses, and what it says then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.chart.tools import CHART, RenderFailed
from tests.support.chart import POSTGRESQL, chart


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"orchestrator.replicas": 2}, "SQLite allows one orchestrator"),
        ({"orchestrator.autoscaling.enabled": True}, "SQLite allows one orchestrator"),
        ({"store.type": "postgresql"}, "kubectl create secret"),
        ({**POSTGRESQL, "tokenKeys.create": False}, "all orchestrators need the same keys"),
        ({"bundles.type": "emptyDir"}, "trainer.enabled=false"),
        ({"shutdown.gracePeriodSeconds": 29}, "set at least 30"),
        ({"text.autoscaling.enabled": True, "text.autoscaling.minReplicas": 11}, "above maxReplicas"),
        ({"text.rollingUpdate.maxSurge": 0}, "must not both be 0"),
        ({"text.models.source": "persistentVolumeClaim"}, "text.models.existingClaim"),
        ({"vision.models.source": "initContainer"}, "vision.models.image"),
        ({"tls.enabled": True, "tls.mode": "existingSecret"}, "tls.existingSecrets.classical"),
        ({"tls.enabled": True, "text.settings.front": "native"}, "knows no TLS"),
        ({"text.settings.port": 1}, "text.settings.port: the chart sets it"),
        ({"orchestrator.settings.tenant_from_metadata": True}, "the chart sets it"),
        ({"text.extraEnv": [{"name": "MARQUEE_TEXT_PORT", "value": "1"}]}, "MARQUEE_TEXT_PORT is set already"),
        ({"trainer.extraEnv": [{"name": "MARQUEE_TARGET", "value": "x"}]}, "MARQUEE_TARGET is set already"),
    ],
)
def test_values_that_do_not_fit_each_other(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RenderFailed) as refused:
        chart(values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        "replica",
        "text.replica",
        "text.autoscaling.max",
        "store.postgresql.url",
        "tls.certManager.issuerRef.title",
        "networkPolicy.dns.port",
        "orchestrator.models",
        "classical.gpu",
        "vision.resources.request",
    ],
)
def test_a_misspelt_key_is_named(path: str) -> None:
    with pytest.raises(RenderFailed) as refused:
        chart({path: {}})
    assert path.rpartition(".")[2] in str(refused.value)
    assert "additional properties" in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("store.type", "mysql"),
        ("image.pullPolicy", "Sometimes"),
        ("text.replicas", "2"),
        ("text.gpu.executionProvider", "cpu"),
        ("bundles.size", "4 GB"),
        ("orchestrator.settings", {"store_url": "postgresql://user:password@host/db"}),
        ("commonLabels", {"app.kubernetes.io/name": "other"}),
        ("tracing.sampleRatio", 2),
        ("tracing.endpoint", "collector"),
        ("networkPolicy.clients", [{"podSelektor": {}}]),
        ("trainer.schedule", "daily"),
    ],
)
def test_a_value_of_the_wrong_form(path: str, value: Any) -> None:
    with pytest.raises(RenderFailed, match="don't meet the specifications of the schema"):
        chart({path: value})


def test_every_map_of_the_schema_is_closed() -> None:
    """Maps that are free say what they map to; what Kubernetes checks itself is the exception."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def open_maps(node: Any, path: str) -> list[str]:
        if isinstance(node, list):
            return [found for number, one in enumerate(node) for found in open_maps(one, f"{path}/{number}")]
        if not isinstance(node, dict):
            return []
        own = [path] if node.get("type") == "object" and "additionalProperties" not in node else []
        return own + [found for key, one in node.items() for found in open_maps(one, f"{path}/{key}")]

    kubernetes = ("/properties/global", "/definitions/affinity/", "/definitions/env/items/properties/valueFrom/")
    assert [one for one in open_maps(schema, "") if not one.startswith(kubernetes)] == []
