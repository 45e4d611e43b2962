from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.chart.overlays import overlays
from deploy.chart.tools import REPOSITORY
from tests.support.chart import MODEL_SERVICES, SERVING, chart

PYTHON = REPOSITORY / ".venv-chart" / "bin" / "python"

needs_schemas = pytest.mark.skipif(
    not PYTHON.exists(), reason="no environment of the chart's checks: `make chart-tools`"
)


def _check(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PYTHON), "-m", "deploy.chart.validate", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)


@needs_schemas
def test_every_supported_kubernetes_knows_every_field(tmp_path: Path) -> None:
    everything = {
        **{f"{one}.autoscaling.metric": "queue" for one in MODEL_SERVICES},
        **{f"{one}.autoscaling.enabled": True for one in SERVING},
        "store.type": "postgresql",
        "store.postgresql.existingSecret": "database",
        "text.models.source": "initContainer",
        "text.models.image": "models:1",
        "operatorRole.create": True,
        "operatorRole.subjects": [{"kind": "Group", "name": "media", "apiGroup": "rbac.authorization.k8s.io"}],
        "monitoring.dashboards.enabled": True,
        "pods.tolerations": [{"key": "media", "operator": "Exists"}],
        "tracing.endpoint": "http://collector:4317",
        "imagePullSecrets": ["registry"],
    }
    rendered = tmp_path / "everything.yaml"
    rendered.write_text(yaml.safe_dump_all(chart(everything).manifests))
    default = tmp_path / "default.yaml"
    default.write_text(yaml.safe_dump_all(chart().manifests))
    checked = _check(default, rendered, *(folder / "manifest.yaml" for folder in overlays()))
    assert checked.returncode == 0, checked.stderr


@needs_schemas
def test_an_unknown_field_is_found(tmp_path: Path) -> None:
    service = chart().one("Service", "text")
    service["spec"]["clusterIp"] = "None"
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(yaml.safe_dump(service))
    checked = _check(faulty)
    assert checked.returncode == 1
    assert "Service marquee-text on 1.30.0" in checked.stderr
    assert "clusterIp" in checked.stderr
