from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from structlog.testing import capture_logs

from services.runtime.engine import CPU, EngineUnavailable
from services.runtime.repository.provider import ModelOpener
from tests.support.dummy_model import write_model


@pytest.fixture
def gpu_build_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime-gpu on a machine without a GPU: it offers CUDA, and its sessions fall back to the CPU."""
    available = ["CUDAExecutionProvider", CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    session = onnxruntime.InferenceSession

    def fallen_back(path: str, options: Any, providers: list[Any]) -> Any:
        return session(path, options, providers=[CPU])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)


@pytest.mark.usefixtures("gpu_build_without_gpu")
def test_auto_takes_the_cpu_with_a_warning_and_for_good(models: Path) -> None:
    graph = write_model(models) / "model.onnx"
    opener = ModelOpener("auto")
    assert opener.provider == "CUDAExecutionProvider"
    with capture_logs() as logs:
        assert opener.open(graph).provider == CPU
        assert opener.open(graph).provider == CPU
    assert opener.provider == CPU
    assert [line["log_level"] for line in logs if line["event"] == "no working GPU: models run on the CPU"] == [
        "warning"
    ]


@pytest.mark.usefixtures("gpu_build_without_gpu")
def test_a_demanded_gpu_that_does_not_work_is_refused(models: Path) -> None:
    with pytest.raises(EngineUnavailable, match="runs on CPUExecutionProvider although CUDAExecutionProvider was"):
        ModelOpener("cuda").open(write_model(models) / "model.onnx")


@pytest.mark.parametrize("wanted", ["auto", "cpu"])
def test_without_a_gpu_build_the_cpu_is_taken_silently(models: Path, wanted: Any) -> None:
    with capture_logs() as logs:
        assert ModelOpener(wanted).open(write_model(models) / "model.onnx").provider == CPU
    assert logs == []
