"""Weights in fewer bits. Sums stay float32, and nothing is measured over a batch, so neighbours change no answer.

- float16: every weight in 16 bits in the file. Matrices become float32 when the graph is loaded; of a table that is
  looked up, only the rows at hand do.
- int8: tables as int8 rows with a scale each. Matrices in blocks of 32 inputs with a scale each, multiplied as integers
  with inputs that are rounded in the same blocks (ONNX Runtime's MatMulNBits); a block is a part of one token.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from services.runtime.training.imports.importer import Precision
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.weighted_graph import Array, Weight, WeightedGraph, readers, rebuilt
from services.runtime.training.rounding import round_rows

BLOCK = 32
_CENTRE = 128
_LARGEST = 127
_LARGEST_HALF = 65_504.0
# ONNX Runtime's number for products of 8-bit integers.
_INTEGER_PRODUCTS = 4
_DOMAIN = "com.microsoft"


def in_precision(graph: WeightedGraph, precision: Precision) -> WeightedGraph:
    """Return the graph with its weights in that precision.

    Raises:
        ImportRefused: a weight is too large for 16 bits.
    """
    if precision == "float16":
        return _in_half(graph)
    return _in_bytes(graph) if precision == "int8" else graph


def _in_half(graph: WeightedGraph) -> WeightedGraph:
    weights, nodes, casts = dict(graph.weights), [], {}
    for node, read in readers(graph):
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        for name in read:
            if graph.weights[name].data_type != TensorProto.FLOAT:
                continue
            half = f"{name}.half"
            weights[half] = graph.weights[name].map(TensorProto.FLOAT16, graph.weights[name].shape, _half)
            if node.op_type == "Gather" and node.input[0] == name:
                rows = f"{node.output[0]}.half"
                changed.input[0], changed.output[0] = half, rows
                nodes.append(changed)
                changed = helper.make_node("Cast", [rows], [node.output[0]], to=TensorProto.FLOAT)
                continue
            if name not in casts:
                casts[name] = f"{name}.float"
                nodes.append(helper.make_node("Cast", [half], [casts[name]], to=TensorProto.FLOAT))
            changed.input[list(changed.input).index(name)] = casts[name]
        nodes.append(changed)
    return rebuilt(graph, nodes, weights)


def _half(values: Array) -> Array:
    if np.abs(values).max(initial=0) > _LARGEST_HALF:
        raise ImportRefused("a weight is too large for 16 bits", "Choose --precision float32 or int8.")
    return values.astype(np.float16)


def _in_bytes(graph: WeightedGraph) -> WeightedGraph:
    weights, nodes = dict(graph.weights), []
    for node, read in readers(graph):
        matrix = next((name for name in read if _is_matrix(graph.weights[name])), "")
        if node.op_type == "Gather" and node.input[0] == matrix:
            nodes += _looked_up(node, matrix, weights)
        elif node.op_type == "MatMul" and node.input[1] == matrix:
            nodes.append(_multiplied(node.input[0], node.output[0], matrix, weights, transposed=False))
        elif node.op_type == "Gemm" and node.input[1] == matrix and _plain(node):
            product = f"{node.output[0]}.product" if len(node.input) > 2 else node.output[0]
            transposed = any(one.name == "transB" and one.i for one in node.attribute)
            nodes.append(_multiplied(node.input[0], product, matrix, weights, transposed=transposed))
            if len(node.input) > 2:
                nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
        else:
            nodes.append(node)
    small = rebuilt(graph, nodes, weights)
    if not any(one.domain == _DOMAIN for one in small.model.opset_import):
        small.model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return small


def _is_matrix(weight: Weight) -> bool:
    return len(weight.shape) == 2 and weight.data_type == TensorProto.FLOAT


def _plain(node: onnx.NodeProto) -> bool:
    values = {one.name: one.f if one.type == onnx.AttributeProto.FLOAT else one.i for one in node.attribute}
    return values.get("alpha", 1.0) == 1.0 and values.get("beta", 1.0) == 1.0 and not values.get("transA")


def _looked_up(node: onnx.NodeProto, table: str, weights: dict[str, Weight]) -> list[onnx.NodeProto]:
    values, scales, output = f"{table}.rows", f"{table}.row_scales", node.output[0]
    whole = weights[table]
    weights[values] = whole.map(TensorProto.INT8, whole.shape, lambda matrix: round_rows(matrix).values)
    weights[scales] = whole.map(
        TensorProto.FLOAT, (whole.shape[0], 1), lambda matrix: round_rows(matrix).scales[:, None]
    )
    return [
        helper.make_node("Gather", [values, node.input[1]], [f"{output}.bytes"]),
        helper.make_node("Gather", [scales, node.input[1]], [f"{output}.scales"]),
        helper.make_node("Cast", [f"{output}.bytes"], [f"{output}.floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{output}.floats", f"{output}.scales"], [output]),
    ]


def _multiplied(
    values: str, output: str, matrix: str, weights: dict[str, Weight], *, transposed: bool
) -> onnx.NodeProto:
    whole = weights[matrix]
    inputs, outputs = whole.shape[::-1] if transposed else whole.shape
    blocks = -(-inputs // BLOCK)
    stored, scales = f"{matrix}.blocks", f"{matrix}.block_scales"
    weights[stored] = whole.map(
        TensorProto.UINT8, (outputs, blocks, BLOCK), lambda weight: _blocks(weight, transposed)[0]
    )
    weights[scales] = whole.map(TensorProto.FLOAT, (outputs, blocks), lambda weight: _blocks(weight, transposed)[1])
    return helper.make_node(
        "MatMulNBits",
        [values, stored, scales],
        [output],
        domain=_DOMAIN,
        K=inputs,
        N=outputs,
        bits=8,
        block_size=BLOCK,
        accuracy_level=_INTEGER_PRODUCTS,
    )


def _blocks(weight: Array, transposed: bool) -> tuple[Array, Array]:
    """Return uint8 [outputs, blocks, BLOCK], 128 for zero, and float32 [outputs, blocks], its steps."""
    rows = weight if transposed else weight.T
    blocks = -(-rows.shape[1] // BLOCK)
    padded = np.zeros((len(rows), blocks * BLOCK), np.float32)
    padded[:, : rows.shape[1]] = rows
    parts = padded.reshape(len(rows), blocks, BLOCK)
    steps = np.abs(parts).max(axis=2) / np.float32(_LARGEST)
    steps[steps == 0] = 1
    return (np.rint(parts / steps[:, :, None]) + _CENTRE).astype(np.uint8), steps
