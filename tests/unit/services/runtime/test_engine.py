from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import onnxruntime
import pytest

from services.runtime.engine import CPU, CUDA, TENSORRT, EngineUnavailable, OnnxModel, choose_provider
from tests.support.dummy_model import DIMENSIONS, write_model


def offer(monkeypatch: pytest.MonkeyPatch, *providers: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(providers))


def test_auto_takes_cuda_where_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, CUDA, CPU)
    assert choose_provider("auto") == CUDA
    assert choose_provider("cuda") == CUDA
    assert choose_provider("cpu") == CPU


def test_auto_takes_the_cpu_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, CPU)
    assert choose_provider("auto") == CPU
    with pytest.raises(EngineUnavailable, match=r"only CPUExecutionProvider are available.*onnxruntime-gpu"):
        choose_provider("cuda")


def test_a_session_that_fell_back_to_the_cpu_is_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What onnxruntime does where the CUDA build finds no GPU: it says CPU and goes on.
    opened = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda path, options, providers: opened(path, options, providers=[CPU])
    )
    with pytest.raises(EngineUnavailable, match="runs on CPUExecutionProvider although CUDAExecutionProvider"):
        OnnxModel(write_model(models) / "model.onnx", CUDA)


def test_a_model_is_run_by_name(models: Path) -> None:
    model = OnnxModel(write_model(models) / "model.onnx", CPU)
    assert model.input_names == ["input_ids", "attention_mask"]
    assert model.output_names == ["vectors"]
    ids = numpy.array([[1, 2, 3]], numpy.int64)
    vectors = model.run({"attention_mask": numpy.ones_like(ids), "input_ids": ids})["vectors"]
    assert vectors.shape == (1, DIMENSIONS)
    assert numpy.linalg.norm(vectors) == pytest.approx(1, abs=1e-6)


def test_many_threads_share_one_model_and_get_their_own_answers(models: Path) -> None:
    model = OnnxModel(write_model(models) / "model.onnx", CPU)

    def vector(word: int) -> list[float]:
        ids = numpy.array([[word]], numpy.int64)
        return [float(x) for x in model.run({"input_ids": ids, "attention_mask": ids * 0 + 1})["vectors"][0]]

    words = [1, 2, 3, 4] * 50
    alone = {word: vector(word) for word in set(words)}
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(vector, words))
    assert together == [alone[word] for word in words]


def test_tensors_bound_to_a_device_give_the_same_answers(models: Path) -> None:
    path = write_model(models) / "model.onnx"
    # Columns of a transposed array are not contiguous, as a caller's slice may be.
    ids = numpy.array([[1, 2], [3, 4], [5, 6]], numpy.int64).T
    feeds = {"input_ids": ids, "attention_mask": numpy.ones_like(ids)}
    plain, bound = OnnxModel(path, CPU).run(feeds), OnnxModel(path, CPU, bind_device="cpu").run(feeds)
    assert bound["vectors"] == pytest.approx(plain["vectors"])


def test_tensorrt_is_taken_only_when_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, TENSORRT, CUDA, CPU)
    assert choose_provider("auto") == CUDA
    assert choose_provider("tensorrt") == TENSORRT
    offer(monkeypatch, CUDA, CPU)
    with pytest.raises(EngineUnavailable, match="TensorrtExecutionProvider was demanded"):
        choose_provider("tensorrt")


def test_a_bound_run_reads_and_fills_the_same_memory_again_and_again(models: Path) -> None:
    model = OnnxModel(write_model(models) / "model.onnx", CPU)
    inputs = {name: numpy.ones((2, 3), numpy.int64) for name in model.input_names}
    vectors = numpy.zeros((2, DIMENSIONS), numpy.float32)
    run = model.bind(inputs, {"vectors": vectors})
    for word in (1, 4):
        inputs["input_ids"][:] = word
        run.run()
        assert numpy.array_equal(vectors, model.run(inputs)["vectors"])


def test_a_bound_run_keeps_its_model(models: Path) -> None:
    model = OnnxModel(write_model(models) / "model.onnx", CPU)
    inputs = {name: numpy.ones((1, 1), numpy.int64) for name in model.input_names}
    run = model.bind(inputs, {"vectors": numpy.zeros((1, DIMENSIONS), numpy.float32)})
    held = weakref.ref(model)
    del model
    assert held() is not None
    run.run()
    del run
    assert held() is None
