"""Arrays to responses: everything but the numbers is prepared once for each shape of answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy

from inference import open_inference_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.open_inference.byte_strings import join_elements
from services.runtime.open_inference.input_decoder import Array
from services.runtime.open_inference.parameters import check_output_parameters
from services.runtime.open_inference.tensor_spec import TensorSpec

# Answers of a model come in few shapes; a caller that asks for ever new ones must not fill the memory.
_MOST_HEADERS = 512

Selection = tuple[str, ...]


class EncodedOutputs(NamedTuple):
    """A reply but for the request's id. It may be kept and given to several callers, so it is never changed.

    Attributes:
        header: model, version, and name, datatype and shape of each output.
        contents: raw contents of each output.
        rows: rows answered.
    """

    header: pb.ModelInferResponse
    contents: Sequence[bytes]
    rows: int

    def response(self, request_id: str) -> pb.ModelInferResponse:
        """Return the response to the request of that id."""
        response = pb.ModelInferResponse()
        response.CopyFrom(self.header)
        if request_id:
            response.id = request_id
        response.raw_output_contents.extend(self.contents)
        return response


class OutputEncoder:
    """Writes the outputs of one model.

    Args:
        name: name of the model.
        version: version of the model.
        specs: the model's outputs.
    """

    def __init__(self, name: str, version: str, specs: Sequence[TensorSpec]) -> None:
        self._name = name
        self._version = version
        self._specs = {spec.name: spec for spec in specs}
        self._all: Selection = tuple(self._specs)
        self._headers: dict[tuple[Selection, tuple[tuple[int, ...], ...]], pb.ModelInferResponse] = {}

    def select(self, request: pb.ModelInferRequest) -> Selection:
        """Return the names of the outputs that a request wants, in its order; all when it names none.

        Raises:
            InvalidRequest: an output does not exist, is named twice or has unknown parameters.
        """
        wanted = request.outputs
        if len(wanted) == 0:
            return self._all
        if len(wanted) > len(self._specs):
            description = f"has {len(wanted):,} entries; the model has {len(self._specs)}: {', '.join(self._specs)}"
            raise InvalidRequest([FieldViolation("outputs", description)], "INVALID_TENSOR")
        names: list[str] = []
        problems: list[FieldViolation] = []
        for index, output in enumerate(wanted):
            name = output.name
            if name not in self._specs:
                known = ", ".join(self._specs)
                problems.append(
                    FieldViolation(f"outputs[{index}].name", f"no output {name[:80]!r}; the model has {known}")
                )
            elif name in names:
                problems.append(FieldViolation(f"outputs[{index}].name", f"repeats {name!r}"))
            if len(output.parameters) > 0:
                problems += check_output_parameters(f"outputs[{index}].parameters", output.parameters)
            names.append(name)
        if problems:
            raise InvalidRequest(problems, "INVALID_TENSOR")
        return tuple(names)

    def encode(self, outputs: Mapping[str, Array], selection: Selection, rows: int) -> EncodedOutputs:
        """Return the reply made of the selected outputs."""
        shapes = []
        contents = []
        for name in selection:
            array = outputs[name]
            datatype = self._specs[name].datatype
            if array.dtype != datatype.dtype:
                array = array.astype(datatype.dtype)
            shapes.append(array.shape)
            contents.append(join_elements(array.flat) if array.dtype.hasobject else array.tobytes())
        key = (selection, tuple(shapes))
        return EncodedOutputs(self._headers.get(key) or self._new_header(key), contents, rows)

    def _new_header(self, key: tuple[Selection, tuple[tuple[int, ...], ...]]) -> pb.ModelInferResponse:
        header = pb.ModelInferResponse(model_name=self._name, model_version=self._version)
        for name, shape in zip(*key, strict=True):
            header.outputs.add(name=name, datatype=self._specs[name].datatype.name, shape=shape)
        if len(self._headers) >= _MOST_HEADERS:
            self._headers.clear()
        self._headers[key] = header
        return header


def concatenate(parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """Return the outputs of several runs as those of one."""
    if len(parts) == 1:
        return parts[0]
    return {name: numpy.concatenate([part[name] for part in parts]) for name in parts[0]}
