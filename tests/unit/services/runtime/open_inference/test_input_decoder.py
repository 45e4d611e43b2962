from __future__ import annotations

from typing import Any

import numpy
import pytest

from inference import open_inference_pb2 as pb
from services.runtime.errors import InvalidRequest
from services.runtime.open_inference.input_decoder import InputDecoder
from services.runtime.open_inference.tensor_spec import TensorSpec
from services.runtime.repository.manifest import TensorDescription
from tests.support.tensor_requests import raw_contents, raw_request, typed_request

SAMPLES: dict[str, Any] = {
    "BOOL": numpy.array([[True, False, True]]),
    "UINT8": numpy.array([[0, 7, 255]], "u1"),
    "INT8": numpy.array([[-128, 0, 127]], "i1"),
    "INT32": numpy.array([[-(2**31), 0, 2**31 - 1]], "i4"),
    "INT64": numpy.array([[-(2**63), 0, 2**63 - 1]], "i8"),
    "FP16": numpy.array([[-1.5, 0, 65504]], "f2"),
    "FP32": numpy.array([[-1.5, 0, 3e38]], "f4"),
    "FP64": numpy.array([[-1.5, 0, 1e300]], "f8"),
    "BYTES": numpy.array([[b"", b"robot", "é".encode()]], object),
}


def decoder(*, allow_non_finite: bool = False, **tensors: tuple[str, list[int]]) -> InputDecoder:
    specs = [
        TensorSpec.of(TensorDescription.model_validate({"name": name, "datatype": datatype, "shape": shape}))
        for name, (datatype, shape) in tensors.items()
    ]
    return InputDecoder(specs, finite=not allow_non_finite)


def numbers() -> InputDecoder:
    return decoder(x=("FP32", [-1, 3]))


def two() -> InputDecoder:
    return decoder(ids=("INT64", [-1, -1]), mask=("INT64", [-1, -1]))


def refusal(one: InputDecoder, request: pb.ModelInferRequest) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        one.decode(request)
    return {violation.field: violation.description for violation in refused.value.violations}


def expected_of(sample: Any) -> Any:
    return sample if not sample.dtype.hasobject else [[element.decode() for element in row] for row in sample]


@pytest.mark.parametrize("datatype", SAMPLES)
def test_raw_contents_become_arrays(datatype: str) -> None:
    sample = SAMPLES[datatype]
    decoded = decoder(x=(datatype, [-1, 3])).decode(raw_request("m", {"x": sample}))
    assert decoded["x"].dtype == sample.dtype
    assert numpy.array_equal(decoded["x"], expected_of(sample))


@pytest.mark.parametrize("datatype", [name for name in SAMPLES if name != "FP16"])
def test_typed_contents_become_arrays(datatype: str) -> None:
    sample = SAMPLES[datatype]
    decoded = decoder(x=(datatype, [-1, 3])).decode(typed_request("m", {"x": sample}))
    assert decoded["x"].dtype == sample.dtype
    assert numpy.array_equal(decoded["x"], expected_of(sample))


def test_raw_numbers_are_not_copied() -> None:
    array = numbers().decode(raw_request("m", {"x": numpy.ones((1, 3), "f4")}))["x"]
    assert not array.flags.writeable
    assert not array.flags.owndata


def test_inputs_may_come_in_any_order() -> None:
    request = raw_request("m", {"mask": numpy.ones((1, 2), "i8"), "ids": numpy.zeros((1, 2), "i8")})
    decoded = two().decode(request)
    assert decoded["ids"].sum() == 0
    assert decoded["mask"].sum() == 2


def test_every_wrong_input_is_named() -> None:
    request = raw_request("m", {"ids": numpy.ones((1, 2), "i4"), "mask": numpy.ones(2, "i8")})
    assert set(refusal(two(), request)) == {"inputs[0].datatype", "inputs[1].shape"}


def test_a_missing_input_is_named() -> None:
    assert refusal(two(), raw_request("m", {"ids": numpy.ones((1, 2), "i8")})) == {"inputs": "lacks mask"}


def test_an_unknown_input_is_named() -> None:
    request = raw_request("m", {"ids": numpy.ones((1, 2), "i8"), "masks": numpy.ones((1, 2), "i8")})
    found = refusal(two(), request)
    assert found["inputs"] == "lacks mask"
    assert "no input 'masks'" in found["inputs[1].name"]


def test_an_input_given_twice_is_named() -> None:
    request = raw_request("m", {"ids": numpy.ones((1, 2), "i8")})
    request.inputs.append(request.inputs[0])
    request.raw_input_contents.append(request.raw_input_contents[0])
    assert refusal(two(), request)["inputs[1].name"] == "repeats 'ids'"


def test_no_input_at_all_is_refused() -> None:
    assert refusal(numbers(), pb.ModelInferRequest(model_name="m")) == {"inputs": "lacks x"}


def test_too_many_inputs_are_refused_without_reading_them() -> None:
    request = pb.ModelInferRequest(inputs=[pb.ModelInferRequest.InferInputTensor(name="x")] * 100_000)
    assert "100,000" in refusal(numbers(), request)["inputs"]


@pytest.mark.parametrize(
    "shape", [[1, 4], [3], [1, 3, 1], [-1, 3], [0, -3], [-1, -3], [2**62, 3], [2**31, 3], [-(2**63), 3], []]
)
def test_a_shape_that_does_not_fit_is_refused(shape: list[int]) -> None:
    request = raw_request("m", {"x": numpy.ones((1, 3), "f4")})
    del request.inputs[0].shape[:]
    request.inputs[0].shape.extend(shape)
    assert "inputs[0].shape" in refusal(numbers(), request)


@pytest.mark.parametrize("shape", [[2**31 - 1, 2**31 - 1], [2**31 - 1, 1], [3, 2], [0, 5]])
def test_a_shape_larger_than_its_contents_is_refused_whatever_its_size(shape: list[int]) -> None:
    request = raw_request("m", {"x": numpy.ones((1, 3), "f4")})
    del request.inputs[0].shape[:]
    request.inputs[0].shape.extend(shape)
    assert "12 bytes" in refusal(decoder(x=("FP32", [-1, -1])), request)["raw_input_contents[0]"]


@pytest.mark.parametrize("content", [b"", b"\0" * 11, b"\0" * 13, b"\0" * 24])
def test_raw_bytes_too_short_or_long_are_refused(content: bytes) -> None:
    request = raw_request("m", {"x": numpy.ones((1, 3), "f4")})
    request.raw_input_contents[0] = content
    assert "needs 12 bytes" in refusal(numbers(), request)["raw_input_contents[0]"]


@pytest.mark.parametrize("entries", [1, 3])
def test_each_input_needs_its_raw_entry(entries: int) -> None:
    request = raw_request("m", {"ids": numpy.ones((1, 2), "i8"), "mask": numpy.ones((1, 2), "i8")})
    del request.raw_input_contents[:]
    request.raw_input_contents.extend([b"\0" * 16] * entries)
    assert "for 2 inputs" in refusal(two(), request)["raw_input_contents"]


def test_raw_and_typed_contents_do_not_mix() -> None:
    request = raw_request("m", {"x": numpy.ones((1, 3), "f4")})
    request.inputs[0].contents.fp32_contents.extend([1, 2, 3])
    assert "use one of them" in refusal(numbers(), request)["inputs[0].contents"]


@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf, -numpy.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.filterwarnings("error")
def test_numbers_must_be_finite(bad: float, dtype: str) -> None:
    datatype = {"f2": "FP16", "f4": "FP32", "f8": "FP64"}[dtype]
    array = numpy.array([[1, bad, 2]], dtype)
    one = decoder(x=(datatype, [-1, 3]))
    assert "element 1" in refusal(one, raw_request("m", {"x": array}))["raw_input_contents[0]"]
    if dtype != "f2":
        assert f"inputs[0].contents.fp{array.itemsize * 8}_contents" in refusal(one, typed_request("m", {"x": array}))
    assert decoder(allow_non_finite=True, x=(datatype, [-1, 3])).decode(raw_request("m", {"x": array}))


def test_truth_values_are_zero_or_one() -> None:
    request = raw_request("m", {"x": SAMPLES["BOOL"]})
    request.raw_input_contents[0] = b"\0\1\2"
    assert "0 and 1" in refusal(decoder(x=("BOOL", [-1, 3])), request)["raw_input_contents[0]"]


def test_lying_byte_strings_are_refused() -> None:
    request = raw_request("m", {"x": SAMPLES["BYTES"]})
    request.raw_input_contents[0] = raw_contents(SAMPLES["BYTES"])[:-1]
    one = decoder(x=("BYTES", [-1, 3]))
    assert "element 2" in refusal(one, request)["raw_input_contents[0]"]
    request.raw_input_contents[0] = b"\x01\x00\x00\x00\xff" * 3
    assert "not UTF-8" in refusal(one, request)["raw_input_contents[0]"]


@pytest.mark.parametrize(
    ("fields", "blamed"),
    [
        ({}, "inputs[0].contents"),
        ({"fp32_contents": [1, 2]}, "inputs[0].contents.fp32_contents"),
        ({"fp32_contents": [1, 2, 3, 4]}, "inputs[0].contents.fp32_contents"),
        ({"int_contents": [1, 2, 3]}, "inputs[0].contents"),
        ({"fp32_contents": [1, 2, 3], "fp64_contents": [1]}, "inputs[0].contents"),
    ],
)
def test_typed_contents_must_fit(fields: dict[str, list[Any]], blamed: str) -> None:
    request = pb.ModelInferRequest()
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    tensor.contents.CopyFrom(pb.InferTensorContents(**fields))
    assert blamed in refusal(numbers(), request)


@pytest.mark.parametrize(
    ("datatype", "field", "value"), [("INT8", "int", 128), ("INT8", "int", -129), ("UINT8", "uint", 256)]
)
def test_typed_numbers_must_be_in_the_range_of_their_datatype(datatype: str, field: str, value: int) -> None:
    request = pb.ModelInferRequest()
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[1, 1])
    getattr(tensor.contents, f"{field}_contents").append(value)
    assert datatype in refusal(decoder(x=(datatype, [-1, 1])), request)[f"inputs[0].contents.{field}_contents"]


def test_half_precision_travels_raw_only() -> None:
    request = pb.ModelInferRequest()
    request.inputs.add(name="x", datatype="FP16", shape=[1, 3]).contents.fp32_contents.extend([1, 2, 3])
    assert "raw_input_contents" in refusal(decoder(x=("FP16", [-1, 3])), request)["inputs[0].contents"]


def test_parameters_of_inputs_are_refused() -> None:
    request = raw_request("m", {"x": numpy.ones((1, 3), "f4")})
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"
    assert "shared_memory_region" in refusal(numbers(), request)["inputs[0].parameters"]


def test_long_names_are_cut_in_the_explanation() -> None:
    request = raw_request("m", {"x" * 100_000: numpy.ones((1, 3), "f4")})
    assert len(refusal(numbers(), request)["inputs[0].name"]) < 200
