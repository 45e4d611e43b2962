"""Brings a published ONNX graph into the form that is served: bytes in, names that say something, 16 bits a weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

# Opset 17 and its IR version 8 load everywhere; newer ones bring nothing that these networks use.
OPSET, IR_VERSION = 17, 8
PRODUCER = "marquee"
# Smaller tensors weigh little and are the most sensitive ones: stems, depthwise kernels, heads.
LEAST_COMPACT_SIZE = 6_000


def with_constant_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy whose weights are constants, without unused ones: old exporters list weights as inputs, which
    keeps the runtime from fusing anything.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    stored = {tensor.name for tensor in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    _replace(graph.input, [value for value in graph.input if value.name not in stored])
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    copy.ir_version = IR_VERSION
    return copy


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy with constant weights, in the operator set that we serve."""
    copy = with_constant_weights(model)
    # Sizes of an example; what is declared for the new input and outputs replaces them.
    del copy.graph.value_info[:]
    converted: onnx.ModelProto = version_converter.convert_version(copy, OPSET)
    converted.producer_name, converted.producer_version = PRODUCER, ""
    return converted


def replace_input(
    model: onnx.ModelProto, pixels: onnx.ValueInfoProto, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Any]
) -> None:
    """Puts `nodes` in front of the graph, whose last output takes the place of the graph's only input."""
    graph = model.graph
    (before,) = graph.input
    for node in graph.node:
        node.input[:] = [nodes[-1].output[0] if name == before.name else name for name in node.input]
    _replace(graph.node, [*nodes, *graph.node])
    _replace(graph.input, [pixels])
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())


def rename_outputs(model: onnx.ModelProto, outputs: Mapping[str, onnx.ValueInfoProto]) -> None:
    """Gives each output, known by its old name, the name and shape of the description it is mapped to."""
    graph = model.graph
    for node in graph.node:
        node.output[:] = [outputs[name].name if name in outputs else name for name in node.output]
        node.input[:] = [outputs[name].name if name in outputs else name for name in node.input]
    _replace(graph.output, list(outputs.values()))


def compact_weights(model: onnx.ModelProto, least_size: int = LEAST_COMPACT_SIZE) -> None:
    """Stores each tensor of at least `least_size` weights as int16 with one scale for each slice of its first axis.

    Two operators make it float32 again; the runtime folds them away when it loads, so a run costs the same.
    """
    graph = model.graph
    kept, restored = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < least_size:
            kept.append(tensor)
            continue
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = (np.where(largest == 0, 1, largest) / np.iinfo(np.int16).max).astype(np.float32)
        steps = np.rint(values / scale.astype(np.float64)).astype(np.int16)
        name = tensor.name
        kept += [numpy_helper.from_array(steps, f"{name}.steps"), numpy_helper.from_array(scale, f"{name}.scale")]
        restored += [
            helper.make_node("Cast", [f"{name}.steps"], [f"{name}.float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]),
        ]
    _replace(graph.initializer, kept)
    _replace(graph.node, [*restored, *graph.node])


def finished(model: onnx.ModelProto) -> bytes:
    """Returns the checked model's bytes."""
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _replace(field: Any, values: Sequence[Any]) -> None:
    # A copy first: the new values may be the field's own.
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(copies)
