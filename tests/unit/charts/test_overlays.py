from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.chart.overlays import manifest, overlays
from deploy.chart.tools import ToolMissing, find
from tests.support.chart import need_helm

FOLDERS = overlays()


def test_the_three_overlays_are_there() -> None:
    assert [folder.name for folder in FOLDERS] == ["dev", "gpu", "ha"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_overlay_is_not_stale(folder: Path) -> None:
    need_helm()
    assert manifest(folder) == (folder / "manifest.yaml").read_text(), "run `make chart-kustomize`"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kubectl_builds_an_overlay(folder: Path) -> None:
    try:
        command = [str(find("kubectl")), "kustomize", str(folder)]
    except ToolMissing as missing:
        pytest.skip(str(missing))
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objects = list(yaml.load_all(built, Loader=yaml.CSafeLoader))
    (namespace,) = [one for one in objects if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in objects:
        assert one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kustomize"
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == namespace["metadata"]["name"]
        assert one["kind"] not in ("Secret", "Pod")
