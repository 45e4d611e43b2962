"""Writes ONNX graphs node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 17
ML_OPSET = 3
IR_VERSION = 9
PRODUCER = "marquee"


class GraphBuilder:
    """Collects nodes and constants; a value is known by the name of the node that makes it."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant, or finds the same one again; returns its name.

        Raises:
            ValueError: The name stands for another value.
        """
        array = np.asarray(value)
        before = self._constants.setdefault(name, numpy_helper.from_array(array, name))
        if not np.array_equal(numpy_helper.to_array(before), array):
            raise ValueError(f"constant {name!r} was given two values")
        return name

    def node(self, operator: str, name: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Adds a node; returns the name of its (first) output; a second one is called `<name>_2`."""
        names = [name, *(f"{name}_{number + 1}" for number in range(1, outputs))]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=f"make_{name}", **attributes))
        return name

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Returns the checked model."""
        graph = helper.make_graph(self._nodes, name, inputs, outputs, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
            ir_version=IR_VERSION,
            producer_name=PRODUCER,
        )
        onnx.checker.check_model(model)
        return model


def tensor(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
    """Describes an input or output: its element type (onnx.TensorProto) and shape, with names for what varies."""
    return helper.make_tensor_value_info(name, kind, shape)
