"""Rewrites an exported encoder so that its matrices are stored, and where wanted multiplied, as 8-bit integers.

Only standard ONNX operators are written. `DequantizeLinear -> MatMul` pairs are what ONNX Runtime fuses into one
integer multiplication on a CPU; a runtime that does not know the pattern computes the same numbers in floating point.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.rounding import RoundedMatrix, round_rows
from services.text.training.rounding import InputGrid

CENTRE = 128
# The smallest value of the GELU function is -0.16997, so this makes its outputs unsigned.
GELU_OFFSET = 0.17


@dataclass(frozen=True)
class Linear:
    """One `Gemm` of the exported graph: `output = input @ weight.T + bias`; `name` is the torch module's."""

    name: str
    input: str
    output: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass
class Replacement:
    """Nodes and constants that take the place of a node."""

    prefix: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Adds a constant and returns its full name."""
        full_name = f"{self.prefix}.{name}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), full_name))
        return full_name

    def node(self, operator: str, inputs: list[str], name: str, output: str = "", **attributes: Any) -> str:
        """Adds a node with one output, called `output` or after `name`, and returns the output's name."""
        full_name = output or f"{self.prefix}.{name}"
        node_name = f"{self.prefix}.{name}"
        self.nodes.append(helper.make_node(operator, inputs, [full_name], name=node_name, **attributes))
        return full_name


def round_table(model: onnx.ModelProto, table: str) -> onnx.ModelProto:
    """Returns the graph with a looked-up table stored as int8 rows, each with its scale; sums stay float32."""
    values = _constants(model)[table]
    rounded = round_rows(numpy_helper.to_array(values))

    def look_up(node: onnx.NodeProto) -> Replacement | None:
        if node.op_type != "Gather" or node.input[0] != table:
            return None
        new = Replacement(table)
        rows = new.node("Gather", [new.constant("values", rounded.values), node.input[1]], "rows")
        scales = new.node("Gather", [new.constant("scales", rounded.scales[:, None]), node.input[1]], "row_scales")
        rows = new.node("Cast", [rows], "float_rows", to=TensorProto.FLOAT)
        new.node("Mul", [rows, scales], "scaled_rows", output=node.output[0])
        return new

    return _rewrite(model, look_up)


def rewrite_linears(model: onnx.ModelProto, rewrite: Callable[[Linear], Replacement]) -> onnx.ModelProto:
    """Returns the graph with every linear layer replaced by what `rewrite` makes of it."""
    constants = _constants(model)

    def replace(node: onnx.NodeProto) -> Replacement | None:
        if node.op_type != "Gemm":
            return None
        weight, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
        name = node.input[1].removesuffix(".weight")
        return rewrite(Linear(name, node.input[0], node.output[0], weight, bias))

    return _rewrite(model, replace)


def stored_as_int8(linear: Linear) -> Replacement:
    """Weight-only: int8 in the file, multiplied out to float32 once, when the graph is loaded."""
    rounded = round_rows(linear.weight)
    new = Replacement(linear.name)
    weight = new.node("Cast", [new.constant("weight_values", rounded.values.T)], "cast", to=TensorProto.FLOAT)
    weight = new.node("Mul", [weight, new.constant("weight_scales", rounded.scales)], "restored_weight")
    product = new.node("MatMul", [linear.input, weight], "product")
    new.node("Add", [product, new.constant("bias", linear.bias)], "sum", output=linear.output)
    return new


def fixed_grid_linear(linear: Linear, grid: InputGrid, weight: RoundedMatrix) -> Replacement:
    """Integer multiplication of inputs rounded on a constant grid; `weight` is in the grid's coordinates."""
    new = Replacement(linear.name)
    # QuantizeLinear could take the steps and zero points of all channels, but ONNX Runtime's loop for that is slow.
    scaled = new.node("Mul", [linear.input, new.constant("steps_a_unit", 1 / grid.steps)], "scaled")
    offsets = grid.zero_points.astype(np.float32) - np.float32(CENTRE)
    scaled = new.node("Add", [scaled, new.constant("offsets", offsets)], "centred")
    one, centre = new.constant("one", np.float32(1)), new.constant("zero_point", np.uint8(CENTRE))
    rounded = new.node("QuantizeLinear", [scaled, one, centre], "bytes")
    product = _integer_product(new, rounded, CENTRE, weight)
    # The multiplication knows one zero point; what each channel's own one adds is the same for every input.
    shift = weight.values.astype(np.float64) @ (CENTRE - grid.zero_points.astype(np.float64)) * weight.scales
    _add_bias(new, product, linear.bias + shift, linear.output)
    return new


def token_grid_linear(linear: Linear, weight: RoundedMatrix) -> Replacement:
    """Integer multiplication of GELU outputs, each token rounded on a grid from its own largest value."""
    new = Replacement(linear.name)
    offset, step = new.constant("offset", np.float32(GELU_OFFSET)), new.constant("step", np.float32(1 / 255))
    unsigned = new.node("Add", [linear.input, offset], "unsigned")
    largest = new.node("ReduceMax", [unsigned, new.constant("last_axis", np.array([-1]))], "largest", keepdims=0)
    steps = new.node("Mul", [largest, step], "steps")
    rounded = new.node("QuantizeLinear", [unsigned, steps], "bytes", axis=0, output_dtype=TensorProto.UINT8)
    product = _integer_product(new, rounded, 0, weight)
    column = new.node("Unsqueeze", [steps, new.constant("column_axis", np.array([1]))], "column_of_steps")
    product = new.node("Mul", [product, column], "scaled_product")
    shift = GELU_OFFSET * weight.values.astype(np.float64).sum(axis=1) * weight.scales
    _add_bias(new, product, linear.bias - shift, linear.output)
    return new


def _integer_product(new: Replacement, rounded: str, zero_point: int, weight: RoundedMatrix) -> str:
    one, zero = new.constant("one", np.float32(1)), new.constant("zero_point", np.uint8(zero_point))
    inputs = new.node("DequantizeLinear", [rounded, one, zero], "inputs")
    stored = [new.constant("weight_values", weight.values.T), new.constant("weight_scales", weight.scales)]
    matrix = new.node("DequantizeLinear", stored, "restored_weight", axis=1)
    return new.node("MatMul", [inputs, matrix], "product")


def _add_bias(new: Replacement, product: str, bias: NDArray[Any], output: str) -> None:
    # Subtracted, because ONNX Runtime makes a float32 Gemm of a MatMul and an Add before it looks for integer products.
    new.node("Sub", [product, new.constant("negative_bias", (-bias).astype(np.float32))], "sum", output)


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    return {constant.name: constant for constant in model.graph.initializer}


def _rewrite(model: onnx.ModelProto, replace: Callable[[onnx.NodeProto], Replacement | None]) -> onnx.ModelProto:
    model = copy.deepcopy(model)
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    constants = _constants(model)
    for node in graph.node:
        new = replace(node)
        nodes += [node] if new is None else new.nodes
        constants.update({} if new is None else {constant.name: constant for constant in new.constants})
    used = {name for node in nodes for name in node.input}
    kept = [copy.deepcopy(constant) for name, constant in constants.items() if name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    return model
