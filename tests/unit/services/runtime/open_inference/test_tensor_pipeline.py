from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest

from inference import open_inference_pb2 as pb
from services.runtime.engine import CPU, OnnxModel
from services.runtime.errors import InvalidRequest
from services.runtime.open_inference.output_encoder import EncodedOutputs, OutputEncoder
from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.open_inference.tensor_spec import TensorSpec
from services.runtime.pipeline import Place
from services.runtime.repository.loader import load_version
from services.runtime.repository.manifest import TensorDescription
from tests.support.dummy_model import write_model
from tests.support.tensor_models import (
    FEATURES,
    write_forest_model,
    write_identity_model,
    write_linear_model,
    write_word_model,
)
from tests.support.tensor_requests import Array, arrays_of, raw_request, typed_request

ROWS = numpy.random.default_rng(1).normal(size=(20, FEATURES)).astype(numpy.float32)


def pipeline_of(folder: Path) -> TensorPipeline:
    return TensorPipeline(load_version(folder, lambda path: OnnxModel(path, CPU)))


def reply(pipeline: TensorPipeline, request: pb.ModelInferRequest) -> EncodedOutputs:
    prepared = pipeline.prepare(request)
    return pipeline.finish(prepared, [pipeline.run(batch) for batch in prepared.batches])


def answer(pipeline: TensorPipeline, request: pb.ModelInferRequest) -> dict[str, Array]:
    return arrays_of(reply(pipeline, request).response(request.id))


def refusal(pipeline: TensorPipeline, request: pb.ModelInferRequest) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        reply(pipeline, request)
    return {violation.field: violation.description for violation in refused.value.violations}


@pytest.fixture
def linear(models: Path) -> TensorPipeline:
    return pipeline_of(write_linear_model(models))


@pytest.fixture
def words(models: Path) -> TensorPipeline:
    return pipeline_of(write_model(models))


def tokens(*ids: list[int]) -> dict[str, Array]:
    return {"input_ids": numpy.array(ids), "attention_mask": numpy.ones((len(ids), len(ids[0])), numpy.int64)}


def test_raw_and_typed_requests_get_the_same_answer(linear: TensorPipeline) -> None:
    raw = answer(linear, raw_request("linear-scores", {"features": ROWS[:2]}))
    typed = answer(linear, typed_request("linear-scores", {"features": ROWS[:2]}))
    assert raw["scores"].shape == (2, 4)
    assert numpy.array_equal(raw["scores"], typed["scores"])


def test_the_response_tells_model_version_id_and_shapes(linear: TensorPipeline) -> None:
    response = reply(linear, raw_request("linear-scores", {"features": ROWS[:3]})).response("a-7")
    assert (response.model_name, response.model_version, response.id) == ("linear-scores", "1", "a-7")
    assert [(one.name, one.datatype, list(one.shape)) for one in response.outputs] == [("scores", "FP32", [3, 4])]


def test_replies_that_are_kept_do_not_change(linear: TensorPipeline) -> None:
    kept = reply(linear, raw_request("linear-scores", {"features": ROWS[:1]}))
    assert kept.response("one").id == "one"
    assert kept.response("").id == ""


def test_every_datatype_comes_back_as_it_went(models: Path) -> None:
    samples: Mapping[str, Any] = {
        "BOOL": numpy.array([True, False]),
        "UINT8": numpy.array([0, 255], "u1"),
        "INT8": numpy.array([-128, 127], "i1"),
        "INT32": numpy.array([-5, 5], "i4"),
        "INT64": numpy.array([-(2**60), 2**60], "i8"),
        "FP16": numpy.array([0.5, -2], "f2"),
        "FP32": numpy.array([0.5, -2], "f4"),
        "FP64": numpy.array([0.5, -2], "f8"),
    }
    described = {f"in_{name}": (name, [-1]) for name in samples}
    given = {f"in_{name}": sample for name, sample in samples.items()}
    pipeline = pipeline_of(write_identity_model(models, described, given))
    answered = answer(pipeline, raw_request("identity", given))
    assert answered.keys() == {f"{name}_again" for name in given}
    for name, sample in given.items():
        assert answered[f"{name}_again"].dtype == sample.dtype
        assert numpy.array_equal(answered[f"{name}_again"], sample)


def test_texts_reach_the_model(models: Path) -> None:
    pipeline = pipeline_of(write_word_model(models))
    words = numpy.array([b"cowboy", "café".encode(), b""], object)
    for request in (raw_request("word-values", {"words": words}), typed_request("word-values", {"words": words})):
        assert answer(pipeline, request)["values"].tolist() == [2.0, 3.0, -1.0]
    many = raw_request("word-values", {"words": numpy.array([b"x" * 1000] * 100, object)})
    assert pipeline.place_of_prepare(many) is Place.THREAD


def test_texts_come_out_as_bytes() -> None:
    spec = TensorSpec.of(TensorDescription(name="t", datatype="BYTES", shape=[-1]))
    encoded = OutputEncoder("m", "1", [spec]).encode({"t": numpy.array(["é", ""], object)}, ("t",), 2)
    assert arrays_of(encoded.response(""))["t"].tolist() == ["é".encode(), b""]


def test_rows_are_joined_and_split_without_mixing_them(linear: TensorPipeline) -> None:
    prepared = [linear.prepare(raw_request("m", {"features": ROWS[start : start + 2]})) for start in (0, 2, 4)]
    batches = [one.batches[0] for one in prepared]
    parts = linear.split(linear.run(linear.join(batches)), batches)
    for batch, part in zip(batches, parts, strict=True):
        assert numpy.allclose(part["scores"], linear.run(batch)["scores"], atol=1e-6)


def test_only_rows_of_equal_shape_share_a_run(words: TensorPipeline) -> None:
    sizes = [
        words.prepare(raw_request("m", tokens(*ids))).sizes[0] for ids in ([[1, 2]], [[3, 4], [5, 6]], [[1, 2, 3]])
    ]
    assert sizes[0].bucket == sizes[1].bucket != sizes[2].bucket
    assert [(size.rows, size.cost) for size in sizes] == [(1, 2), (2, 4), (1, 3)]


def test_a_request_larger_than_a_run_is_cut(linear: TensorPipeline) -> None:
    request = raw_request("m", {"features": ROWS})
    prepared = linear.prepare(request)
    assert [size.rows for size in prepared.sizes] == [8, 8, 4]
    assert sum(size.cost for size in prepared.sizes) == prepared.cost == 20
    answered = answer(linear, request)["scores"]
    alone = [answer(linear, raw_request("m", {"features": ROWS[row : row + 1]}))["scores"][0] for row in range(20)]
    assert numpy.allclose(answered, alone, atol=1e-6)


def test_placement_and_batching_come_from_the_manifest(models: Path) -> None:
    linear = pipeline_of(write_linear_model(models))
    forest = pipeline_of(
        write_forest_model(models, placement={"prepare": "thread", "run": "engine", "finish": "inline"})
    )
    assert (linear.placement.run, linear.max_batch) == (Place.INLINE, 8)
    assert (forest.placement.prepare, forest.placement.run, forest.max_batch) == (Place.INLINE, Place.ENGINE, 16)


def test_a_model_without_batch_axis_runs_each_request_alone(models: Path) -> None:
    folder = write_identity_model(
        models, {"x": ("FP32", [2, 2])}, {"x": numpy.eye(2, dtype="f4")}, batching={"max_batch": 8}
    )
    pipeline = pipeline_of(folder)
    assert pipeline.max_batch == 1
    request = raw_request("m", {"x": numpy.eye(2, dtype="f4")})
    assert pipeline.prepare(request).sizes == ()
    assert reply(pipeline, request).rows == 1


def test_wanted_outputs_come_in_the_order_asked_for(models: Path) -> None:
    given = {"a": numpy.zeros(1, "f4"), "b": numpy.ones(1, "f4")}
    pipeline = pipeline_of(write_identity_model(models, {"a": ("FP32", [-1]), "b": ("FP32", [-1])}, given))
    assert list(answer(pipeline, raw_request("m", given))) == ["a_again", "b_again"]
    assert list(answer(pipeline, raw_request("m", given, outputs=["b_again", "a_again"]))) == ["b_again", "a_again"]
    assert answer(pipeline, raw_request("m", given, outputs=["b_again"]))["b_again"] == 1


@pytest.mark.parametrize(
    ("outputs", "field"),
    [(["nope"], "outputs[0].name"), (["vectors", "vectors"], "outputs"), (["vectors"] * 50, "outputs")],
)
def test_outputs_that_there_are_not_are_refused(words: TensorPipeline, outputs: list[str], field: str) -> None:
    assert field in refusal(words, raw_request("m", tokens([1]), outputs=outputs))


def test_classes_are_refused_and_binary_data_is_not(linear: TensorPipeline) -> None:
    request = raw_request("m", {"features": ROWS[:1]}, outputs=["scores"])
    request.outputs[0].parameters["binary_data"].bool_param = True
    assert answer(linear, request)
    request.outputs[0].parameters["classification"].int64_param = 3
    assert "outputs[0].parameters[classification]" in refusal(linear, request)


@pytest.mark.parametrize("rows", [0, 257])
def test_rows_have_a_limit(linear: TensorPipeline, rows: int) -> None:
    request = raw_request("m", {"features": numpy.zeros((rows, FEATURES), "f4")})
    assert "1 to 256" in refusal(linear, request)["inputs[0].shape"]


def test_inputs_must_agree_in_their_rows(words: TensorPipeline) -> None:
    arrays = {"input_ids": numpy.ones((2, 3), "i8"), "attention_mask": numpy.ones((1, 3), "i8")}
    assert "2" in refusal(words, raw_request("m", arrays))["inputs[1].shape"]


@pytest.mark.parametrize("length", [0, 17])
def test_tokens_have_a_limit(words: TensorPipeline, length: int) -> None:
    arrays = {name: numpy.ones((1, length), "i8") for name in ("input_ids", "attention_mask")}
    assert "1 to 16 tokens" in refusal(words, raw_request("m", arrays))["inputs[0].shape"]


def test_values_that_the_graph_refuses_are_the_callers_mistake(words: TensorPipeline) -> None:
    assert "beyond its table" in refusal(words, raw_request("m", tokens([10**9])))["inputs"]
    arrays = {"input_ids": numpy.ones((1, 2), "i8"), "attention_mask": numpy.ones((1, 3), "i8")}
    assert "lengths that differ" in refusal(words, raw_request("m", arrays))["inputs"]


def test_runs_are_counted(linear: TensorPipeline) -> None:
    reply(linear, raw_request("m", {"features": ROWS}))
    message = linear.statistics.message("linear-scores", "1")
    assert [(entry.batch_size, entry.compute_infer.count) for entry in message.batch_stats] == [(4, 1), (8, 2)]
