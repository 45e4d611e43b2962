"""The datatypes of the Open Inference Protocol: how each lies in memory, where it travels typed, what tools call it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from inference import model_config_pb2


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    Attributes:
        name: name in the protocol, for example "FP32".
        dtype: element type of the arrays.
        item_bytes: bytes of one element; 0 for BYTES, whose elements tell their own length.
        contents_field: field of `InferTensorContents` for its elements; empty when it travels raw only.
        config_type: its name in the model configuration.
    """

    name: str
    dtype: numpy.dtype[numpy.generic]
    item_bytes: int
    contents_field: str
    config_type: model_config_pb2.DataType.ValueType


def _datatype(
    name: str, layout: str, contents_field: str, config_type: model_config_pb2.DataType.ValueType
) -> Datatype:
    dtype = numpy.dtype(layout)
    return Datatype(name, dtype, 0 if name == "BYTES" else dtype.itemsize, contents_field, config_type)


DATATYPES = {
    datatype.name: datatype
    for datatype in (
        _datatype("BOOL", "?", "bool_contents", model_config_pb2.TYPE_BOOL),
        _datatype("UINT8", "u1", "uint_contents", model_config_pb2.TYPE_UINT8),
        _datatype("UINT16", "<u2", "uint_contents", model_config_pb2.TYPE_UINT16),
        _datatype("UINT32", "<u4", "uint_contents", model_config_pb2.TYPE_UINT32),
        _datatype("UINT64", "<u8", "uint64_contents", model_config_pb2.TYPE_UINT64),
        _datatype("INT8", "i1", "int_contents", model_config_pb2.TYPE_INT8),
        _datatype("INT16", "<i2", "int_contents", model_config_pb2.TYPE_INT16),
        _datatype("INT32", "<i4", "int_contents", model_config_pb2.TYPE_INT32),
        _datatype("INT64", "<i8", "int64_contents", model_config_pb2.TYPE_INT64),
        _datatype("FP16", "<f2", "", model_config_pb2.TYPE_FP16),
        _datatype("FP32", "<f4", "fp32_contents", model_config_pb2.TYPE_FP32),
        _datatype("FP64", "<f8", "fp64_contents", model_config_pb2.TYPE_FP64),
        # ONNX Runtime takes and gives strings as arrays of Python objects.
        _datatype("BYTES", "O", "bytes_contents", model_config_pb2.TYPE_STRING),
    )
}
