"""What the Open Inference Protocol of each family is asked: models with rows of input that are the same each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc
import numpy

from inference import open_inference_pb2 as pb
from tests.support import dummy_model
from tests.support.tensor_models import FEATURES
from tests.support.tensor_requests import Array, raw_request

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class TensorCase:
    """One model.

    Attributes:
        rows: a number of rows → inputs; the first rows are the same whatever the number.
        output: output whose rows are compared.
        limit: most rows of a request.
    """

    model: str
    rows: Callable[[int], Arrays]
    output: str
    limit: int = 256

    @property
    def name(self) -> str:
        """Name in the tests' names."""
        return self.model

    def request(self, rows: int = 1) -> pb.ModelInferRequest:
        """Return a good request."""
        return raw_request(self.model, self.rows(rows))

    def request_of(self, row: int) -> pb.ModelInferRequest:
        """Return a good request for one row alone."""
        arrays = self.rows(row + 1)
        return raw_request(self.model, {name: array[row:] for name, array in arrays.items()})


@dataclass(frozen=True)
class BadTensors:
    """A request that must be refused.

    Attributes:
        spoil: what is done to a good request.
        field: the violation's field.
    """

    name: str
    spoil: Callable[[pb.ModelInferRequest], object]
    field: str
    code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT


def _tokens(vocabulary: int, length: int) -> Callable[[int], Arrays]:
    def rows(count: int) -> Arrays:
        ids = numpy.random.default_rng(11).integers(1, vocabulary, size=(64, length))
        return {"input_ids": ids[:count], "attention_mask": numpy.ones((count, length), numpy.int64)}

    return rows


def _pixels(count: int) -> Arrays:
    coarse = numpy.random.default_rng(12).integers(0, 256, size=(16, 14, 14, 3), dtype=numpy.uint8)
    return {"pixels": coarse[:count].repeat(16, axis=1).repeat(16, axis=2)}


def _features(count: int) -> Arrays:
    return {"features": numpy.random.default_rng(13).normal(size=(64, FEATURES)).astype(numpy.float32)[:count]}


TENSORS: Mapping[str, list[TensorCase]] = {
    "dummy": [TensorCase(dummy_model.NAME, _tokens(len(dummy_model.WORDS), 8), "vectors")],
    "text": [
        TensorCase("word-embedding", _tokens(20_000, 16), "vectors"),
        TensorCase("minilm-sentence-vectors", _tokens(20_000, 16), "vectors"),
    ],
    "vision": [TensorCase("efficientnet-lite0", _pixels, "probabilities")],
    "classical": [TensorCase("linear-scores", _features, "scores"), TensorCase("forest-values", _features, "values")],
}


def _set_shape(*shape: int) -> Callable[[pb.ModelInferRequest], object]:
    def spoil(request: pb.ModelInferRequest) -> None:
        request.inputs[0].shape[:] = shape

    return spoil


def _set(path: str, value: object) -> Callable[[pb.ModelInferRequest], object]:
    *parents, last = path.split(".")

    def spoil(request: pb.ModelInferRequest) -> None:
        target: object = request
        for part in parents:
            target = target[int(part)] if part.isdecimal() else getattr(target, part)  # type: ignore[index]
        setattr(target, last, value)

    return spoil


def _clear(*fields: str) -> Callable[[pb.ModelInferRequest], object]:
    def spoil(request: pb.ModelInferRequest) -> None:
        for field in fields:
            request.ClearField(field)  # type: ignore[arg-type]

    return spoil


def _raw(change: Callable[[bytes], bytes]) -> Callable[[pb.ModelInferRequest], object]:
    def spoil(request: pb.ModelInferRequest) -> None:
        request.raw_input_contents[0] = change(request.raw_input_contents[0])

    return spoil


def _parameter(name: str, **value: object) -> Callable[[pb.ModelInferRequest], object]:
    return lambda request: request.parameters[name].MergeFrom(pb.InferParameter(**value))  # type: ignore[arg-type]


def _repeat_input(request: pb.ModelInferRequest) -> None:
    request.inputs[0].CopyFrom(request.inputs[-1])
    request.inputs.append(request.inputs[0])
    request.raw_input_contents.append(request.raw_input_contents[-1])


def _mix(request: pb.ModelInferRequest) -> None:
    request.inputs[0].contents.int64_contents.append(1)


def _rename_last(request: pb.ModelInferRequest) -> None:
    request.inputs[-1].name = "surprise"


NOT_FOUND = grpc.StatusCode.NOT_FOUND
BAD = [
    BadTensors("no model", _set("model_name", ""), "model_name"),
    BadTensors("a long model name", _set("model_name", "x" * 5000), "model_name"),
    BadTensors("an unknown model", _set("model_name", "no-such-model"), "model_name", NOT_FOUND),
    BadTensors("a model that climbs", _set("model_name", "../../etc"), "model_name", NOT_FOUND),
    BadTensors("an unknown version", _set("model_version", "99"), "model_name", NOT_FOUND),
    BadTensors("a long id", _set("id", "x" * 257), "id"),
    BadTensors("no inputs", _clear("inputs"), "raw_input_contents"),
    BadTensors("nothing but a model", _clear("inputs", "raw_input_contents"), "inputs"),
    BadTensors("an unknown input", _rename_last, "inputs"),
    BadTensors("an input twice", _repeat_input, "inputs"),
    BadTensors("another datatype", _set("inputs.0.datatype", "FP64"), "inputs[0].datatype"),
    BadTensors("no datatype", _set("inputs.0.datatype", ""), "inputs[0].datatype"),
    BadTensors("no shape", _set_shape(), "inputs[0].shape"),
    BadTensors("another rank", _set_shape(1, 1, 1), "inputs[0].shape"),
    BadTensors("a negative shape", _set_shape(-1, -1), "inputs[0].shape"),
    BadTensors("a shape that overflows", _set_shape(2**62, 2**62), "inputs[0].shape"),
    BadTensors("no raw contents", _clear("raw_input_contents"), "inputs[0].contents"),
    BadTensors("raw contents too short", _raw(lambda content: content[:-1]), "raw_input_contents[0]"),
    BadTensors("raw contents too long", _raw(lambda content: content + b"\0"), "raw_input_contents[0]"),
    BadTensors("empty raw contents", _raw(lambda content: b""), "raw_input_contents[0]"),
    BadTensors("one raw entry too many", lambda request: request.raw_input_contents.append(b""), "raw_input_contents"),
    BadTensors("raw and typed contents", _mix, "inputs[0].contents"),
    BadTensors("an unknown output", lambda request: request.outputs.add(name="surprise"), "outputs[0].name"),
    BadTensors("too many outputs", lambda request: [request.outputs.add(name="x") for _ in range(99)], "outputs"),
    BadTensors("an unknown parameter", _parameter("mood", string_param="good"), "parameters[mood]"),
    BadTensors("a sequence", _parameter("sequence_id", int64_param=4), "parameters[sequence_id]"),
    BadTensors("a timeout of words", _parameter("timeout", string_param="soon"), "parameters[timeout]"),
    BadTensors("a negative priority", _parameter("priority", int64_param=-1), "parameters[priority]"),
    BadTensors(
        "a timeout that passes at once", _parameter("timeout", int64_param=1), "", grpc.StatusCode.DEADLINE_EXCEEDED
    ),
]
