"""ModelInfer requests as clients make them: raw or typed contents from arrays, and arrays from responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import numpy.typing

from inference import open_inference_pb2 as pb

Array = numpy.typing.NDArray[Any]

_NAMES = {
    "?": "BOOL",
    "u1": "UINT8",
    "i1": "INT8",
    "i4": "INT32",
    "i8": "INT64",
    "f2": "FP16",
    "f4": "FP32",
    "f8": "FP64",
    "O": "BYTES",
}
_DTYPES = {name: numpy.dtype(code) for code, name in _NAMES.items()}
_FIELDS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "INT8": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def datatype_of(array: Array) -> str:
    """Return the protocol's name of an array's elements."""
    return next(name for name, dtype in _DTYPES.items() if dtype == array.dtype)


def raw_request(
    model: str, arrays: Mapping[str, Array], outputs: Sequence[str] = (), version: str = "", request_id: str = ""
) -> pb.ModelInferRequest:
    """Return a request with raw contents."""
    request = pb.ModelInferRequest(model_name=model, model_version=version, id=request_id)
    for name, array in arrays.items():
        request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        request.raw_input_contents.append(raw_contents(array))
    for name in outputs:
        request.outputs.add(name=name)
    return request


def typed_request(model: str, arrays: Mapping[str, Array]) -> pb.ModelInferRequest:
    """Return a request with typed contents."""
    request = pb.ModelInferRequest(model_name=model)
    for name, array in arrays.items():
        tensor = request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        getattr(tensor.contents, _FIELDS[tensor.datatype]).extend(array.reshape(-1).tolist())
    return request


def raw_contents(array: Array) -> bytes:
    """Return an array's raw contents."""
    if array.dtype.hasobject:
        return b"".join(len(element).to_bytes(4, "little") + element for element in array.reshape(-1))
    return array.tobytes()


def arrays_of(response: pb.ModelInferResponse) -> dict[str, Array]:
    """Return the outputs of a response by name; BYTES as an array of bytes."""
    arrays: dict[str, Array] = {}
    for tensor, content in zip(response.outputs, response.raw_output_contents, strict=True):
        if tensor.datatype == "BYTES":
            arrays[tensor.name] = numpy.array(_elements(content), numpy.object_).reshape(tensor.shape)
        else:
            arrays[tensor.name] = numpy.frombuffer(content, _DTYPES[tensor.datatype]).reshape(tensor.shape)
    return arrays


def _elements(content: bytes) -> list[bytes]:
    elements = []
    while content:
        end = 4 + int.from_bytes(content[:4], "little")
        elements.append(content[4:end])
        content = content[end:]
    return elements
