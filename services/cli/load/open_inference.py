"""Requests for models through the Open Inference Protocol: tensors by the model's own metadata, or from JSON."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy

from services.cli.channels import open_channel
from services.cli.failures import EXIT_NO_MESH, EXIT_WRONG_INPUT, CommandFailed
from services.cli.load.contracts import Contracts
from services.cli.tls import command_tls

SERVICE = "inference.GRPCInferenceService"
INFER = f"{SERVICE}/ModelInfer"
_TYPES: dict[str, Any] = {
    "BOOL": numpy.bool_,
    "UINT8": numpy.uint8,
    "UINT16": numpy.uint16,
    "UINT32": numpy.uint32,
    "UINT64": numpy.uint64,
    "INT8": numpy.int8,
    "INT16": numpy.int16,
    "INT32": numpy.int32,
    "INT64": numpy.int64,
    "FP16": numpy.float16,
    "FP32": numpy.float32,
    "FP64": numpy.float64,
}
_FREE_LENGTH = 16
"""Length of axes that the model leaves open, except the first."""
_LARGEST_INTEGER = 100
_WORDS = ("adventure", "comedy", "drama", "mystery", "romance", "space", "western", "winter")
_SECONDS = 10.0


class Model:
    """A model as a service describes it.

    Args:
        name: name or "name/version".
        address: gRPC target of a service that serves it.

    Raises:
        CommandFailed: the service does not know the model or cannot be reached.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name, _, self.version = name.partition("/")
        self.address = address
        contracts = Contracts.load()
        self._request_class = contracts.message_class("inference.ModelInferRequest")
        request = contracts.message_class("inference.ModelMetadataRequest")(name=self.name, version=self.version)
        answer = contracts.message_class("inference.ModelMetadataResponse")
        with open_channel(address, tls=command_tls()) as channel:
            call = channel.unary_unary(f"/{SERVICE}/ModelMetadata", type(request).SerializeToString, answer.FromString)
            try:
                self.metadata: Any = call(request, timeout=_SECONDS)
            except grpc.RpcError as error:
                status: Any = error
                nobody = status.code() == grpc.StatusCode.UNAVAILABLE
                raise CommandFailed(
                    f"{address}: {status.details()}", exit_code=EXIT_NO_MESH if nobody else EXIT_WRONG_INPUT
                ) from error

    @staticmethod
    def find(name: str, addresses: Sequence[str]) -> Model:
        """Return the model from the first of some services that knows it."""
        said = []
        for address in addresses:
            try:
                return Model(name, address)
            except CommandFailed as error:
                said.append(error)
        advice = "\n".join(str(one) for one in said)
        worst = EXIT_NO_MESH if all(one.exit_code == EXIT_NO_MESH for one in said) else EXIT_WRONG_INPUT
        raise CommandFailed(f"no service serves the model {name!r}", advice, worst)

    def random_request(self, seed: int, shapes: Mapping[str, Sequence[int]] | None = None) -> bytes:
        """Return a serialised request with random tensors; masks are ones.

        Args:
            seed: equal seeds make equal tensors.
            shapes: shape of inputs by name; else one row, and 16 where the model leaves an axis open.
        """
        chance = numpy.random.default_rng(seed)
        arrays = {}
        for tensor in self.metadata.inputs:
            free = [1 if place == 0 else _FREE_LENGTH for place in range(len(tensor.shape))]
            by_default = [size if size > 0 else free[place] for place, size in enumerate(tensor.shape)]
            shape = list((shapes or {}).get(tensor.name, by_default))
            arrays[tensor.name] = _random(chance, tensor, shape)
        return self._serialise(arrays)

    def request(self, tensors: Mapping[str, Any]) -> bytes:
        """Return a serialised request with tensors given as nested lists by input name.

        Raises:
            ValueError: a name is unknown or missing, or a tensor does not fit its type.
        """
        known = {tensor.name: tensor for tensor in self.metadata.inputs}
        wrong = sorted(set(tensors) ^ set(known))
        if wrong:
            raise ValueError(f"inputs {wrong} do not fit; {self.name} takes: {', '.join(known)}")
        arrays = {}
        for name, values in tensors.items():
            kind = known[name].datatype
            try:
                arrays[name] = numpy.array(values, object if kind == "BYTES" else _TYPES[kind])
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(f"{name}: no {kind} tensor: {error}") from error
        return self._serialise(arrays)

    def _serialise(self, arrays: Mapping[str, Any]) -> bytes:
        kinds = {tensor.name: tensor.datatype for tensor in self.metadata.inputs}
        request = self._request_class(model_name=self.name, model_version=self.version)
        for name, array in arrays.items():
            request.inputs.add(name=name, datatype=kinds[name], shape=array.shape)
            request.raw_input_contents.append(_raw(array))
        content: bytes = request.SerializeToString()
        return content


def _random(chance: numpy.random.Generator, tensor: Any, shape: Sequence[int]) -> Any:
    kind = tensor.datatype
    if kind == "BYTES":
        return chance.choice(numpy.array(_WORDS, object), shape)
    if kind not in _TYPES:
        raise CommandFailed(f"input {tensor.name!r} is {kind}: give it with --tensors", exit_code=EXIT_WRONG_INPUT)
    if "mask" in tensor.name:
        return numpy.ones(shape, _TYPES[kind])
    if kind == "BOOL":
        return chance.integers(0, 2, shape).astype(numpy.bool_)
    if kind.startswith("FP"):
        return chance.standard_normal(shape).astype(_TYPES[kind])
    return chance.integers(1, _LARGEST_INTEGER, shape).astype(_TYPES[kind])


def _raw(array: Any) -> bytes:
    if array.dtype == object:  # BYTES: each element with its length before it
        parts = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel()]
        return b"".join(struct.pack("<I", len(part)) + part for part in parts)
    content: bytes = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return content
