"""Requests to arrays, without copying raw contents. Runs for every request: the way of good input is kept short, and
only bad input pays for its explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy
import numpy.typing

from inference import open_inference_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.open_inference.byte_strings import split_elements, to_texts
from services.runtime.open_inference.tensor_spec import TensorSpec

Array: TypeAlias = numpy.typing.NDArray[Any]
Tensors: TypeAlias = dict[str, Array]

# No model has an axis of that length; larger ones only serve to overflow something.
_LONGEST_AXIS = 2**31 - 1
_RAW = "raw_input_contents"


class InputDecoder:
    """Reads the inputs of one model.

    Args:
        specs: the model's inputs.
        finite: whether NaN and infinity are refused.
    """

    def __init__(self, specs: Sequence[TensorSpec], finite: bool = True) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._finite = finite

    def decode(self, request: pb.ModelInferRequest) -> Tensors:
        """Return every input by name; arrays look into the request's bytes and are read-only.

        Raises:
            InvalidRequest: inputs are missing, unknown or given twice, or one has the wrong datatype, shape or
                contents; names every one that is wrong.
        """
        specs = self._specs
        tensors = request.inputs
        contents: Sequence[bytes] = request.raw_input_contents
        raw = len(contents) > 0
        arrays: Tensors = {}
        problems: list[FieldViolation] = []
        if len(tensors) > len(specs) or (raw and len(contents) != len(tensors)):
            self._refuse_counts(len(tensors), len(contents))
        for index, tensor in enumerate(tensors):
            name = tensor.name
            spec = specs.get(name)
            try:
                if spec is None:
                    raise _Problem("name", f"no input {name[:80]!r}; the model has {', '.join(specs)}")
                if name in arrays:
                    raise _Problem("name", f"repeats {name!r}")
                if raw:
                    arrays[name] = self._read_raw(spec, tensor, contents[index])
                else:
                    arrays[name] = self._read_typed(spec, tensor)
            except _Problem as problem:
                field = f"{_RAW}[{index}]" if problem.part == _RAW else f"inputs[{index}].{problem.part}"
                problems.append(FieldViolation(field, problem.description))
        if len(arrays) != len(specs):
            self._refuse(request, problems)
        return arrays

    def _read_raw(self, spec: TensorSpec, tensor: pb.ModelInferRequest.InferInputTensor, content: bytes) -> Array:
        if tensor.HasField("contents"):
            raise _Problem("contents", f"is set beside {_RAW}; use one of them for all inputs")
        shape, count = _checked_shape(spec, tensor)
        datatype = spec.datatype
        if datatype.item_bytes == 0:
            try:
                return to_texts(split_elements(content, count), shape)
            except ValueError as error:
                raise _Problem(_RAW, str(error)) from None
        if count * datatype.item_bytes != len(content):
            expected = f"{count * datatype.item_bytes:,} bytes for {datatype.name}{shape}"
            raise _Problem(_RAW, f"has {len(content):,} bytes; {spec.name!r} needs {expected}")
        array: Array = numpy.ndarray(shape, datatype.dtype, content)
        if spec.floating:
            if self._finite:
                _require_finite(array, _RAW)
        elif datatype.name == "BOOL" and count and array.view(numpy.uint8).max() > 1:
            raise _Problem(_RAW, "holds bytes other than 0 and 1, which no BOOL has")
        return array

    def _read_typed(self, spec: TensorSpec, tensor: pb.ModelInferRequest.InferInputTensor) -> Array:
        shape, count = _checked_shape(spec, tensor)
        datatype = spec.datatype
        used = tensor.contents.ListFields()
        if not datatype.contents_field:
            raise _Problem("contents", f"cannot hold {datatype.name}; send it in {_RAW}")
        if len(used) > 1 or (used and used[0][0].name != datatype.contents_field):
            names = ", ".join(field.name for field, _ in used)
            raise _Problem("contents", f"uses {names}; {datatype.name} belongs in {datatype.contents_field} alone")
        if not used and count:
            raise _Problem("contents", f"is empty; fill {datatype.contents_field}, or send every input in {_RAW}")
        values = used[0][1] if used else ()
        field = f"contents.{datatype.contents_field}"
        if len(values) != count:
            raise _Problem(field, f"has {len(values):,} elements; shape {shape} needs {count:,}")
        try:
            if datatype.item_bytes == 0:
                return to_texts(values, shape)
        except ValueError as error:
            raise _Problem(field, str(error)) from None
        # The field's memory is read as one buffer: no Python number is made of any element.
        wide = numpy.array(values)
        array = wide.astype(datatype.dtype, copy=False).reshape(shape)
        if wide.dtype != array.dtype and not numpy.array_equal(wide, array.reshape(-1)):
            raise _Problem(field, f"holds a number outside the range of {datatype.name}")
        if spec.floating and self._finite:
            _require_finite(array, field)
        return array

    def _refuse_counts(self, tensors: int, contents: int) -> None:
        if contents and contents != tensors:
            description = f"has {contents:,} entries for {tensors:,} inputs; each input needs one"
            raise InvalidRequest([FieldViolation(_RAW, description)], "INVALID_TENSOR")
        description = f"has {tensors:,} entries; the model has {len(self._specs)}: {', '.join(self._specs)}"
        raise InvalidRequest([FieldViolation("inputs", description)], "INVALID_TENSOR")

    def _refuse(self, request: pb.ModelInferRequest, problems: list[FieldViolation]) -> None:
        given = {tensor.name for tensor in request.inputs}
        missing = [name for name in self._specs if name not in given]
        if missing:
            problems.append(FieldViolation("inputs", f"lacks {', '.join(missing)}"))
        raise InvalidRequest(problems, "INVALID_TENSOR")


class _Problem(Exception):
    """What is wrong with one input, and where in it."""

    def __init__(self, part: str, description: str) -> None:
        super().__init__(description)
        self.part = part
        self.description = description


def _checked_shape(spec: TensorSpec, tensor: pb.ModelInferRequest.InferInputTensor) -> tuple[list[int], int]:
    """Return a fitting shape and its number of elements."""
    if tensor.datatype != spec.datatype.name:
        raise _Problem("datatype", f"is {tensor.datatype[:20]!r}; {spec.name!r} is {spec.datatype.name}")
    shape: list[int] = tensor.shape[:]
    if len(shape) != spec.rank:
        raise _Problem("shape", f"has {len(shape)} axes; {spec.name!r} has {spec.rank}: {list(spec.shape)}")
    for axis, length in spec.fixed:
        if shape[axis] != length:
            raise _Problem("shape", f"is {shape}; {spec.name!r} is {list(spec.shape)}, -1 being free")
    count = 1
    for length in shape:
        if not 0 <= length <= _LONGEST_AXIS:
            raise _Problem("shape", f"is {shape}; an axis is 0 to {_LONGEST_AXIS:,} long")
        count *= length
    if len(tensor.parameters) > 0:
        raise _Problem("parameters", f"no parameter {next(iter(tensor.parameters))[:80]!r}; inputs take none")
    return shape, count


def _require_finite(array: Array, part: str) -> None:
    # Looking for a false byte is several times faster than `all()` on small arrays, and no slower on large ones.
    place = numpy.isfinite(array).tobytes().find(0)
    if place >= 0:
        raise _Problem(part, f"holds {array.reshape(-1)[place]} at element {place}; numbers must be finite")
