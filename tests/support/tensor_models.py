"""Small models without a task of their own, as an outside publisher would bring them: served as tensors only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import publish_version

TASK = "tensors"
FEATURES = 16
CLASSES = 4
_OPSET = 17
_IR_VERSION = 9
_ELEMENTS = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "INT8": TensorProto.INT8,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
Shape = Sequence[int]
Array = numpy.typing.NDArray[Any]


def write_linear_model(root: Path, name: str = "linear-scores", version: str = "1", **manifest: Any) -> Path:
    """Write a model float32[rows, 16] → float32[rows, 4], a matrix product, that runs on the event loop."""
    generator = numpy.random.default_rng(3)
    weights = generator.normal(size=(FEATURES, CLASSES)).astype(numpy.float32)
    graph = _graph(
        [helper.make_node("MatMul", ["features", "weights"], ["scores"])],
        {"features": ("FP32", [-1, FEATURES])},
        {"scores": ("FP32", [-1, CLASSES])},
        {"weights": weights},
    )
    case = {"features": generator.normal(size=(2, FEATURES)).astype(numpy.float32)}
    usual = {"placement": {"prepare": "inline", "run": "inline", "finish": "inline"}}
    return _publish(root / name / version, graph, [case], {"batching": {"max_batch": 8}, **usual, **manifest})


def write_forest_model(root: Path, name: str = "forest-values", version: str = "1", **manifest: Any) -> Path:
    """Write a random forest float32[rows, 16] → float32[rows, 1] of 20 trees that shares runs on the engines."""
    generator = numpy.random.default_rng(5)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["values"],
        domain="ai.onnx.ml",
        n_targets=1,
        post_transform="NONE",
    )
    node.attribute.extend(
        helper.make_attribute(name, values) for name, values in _random_trees(20, 4, generator).items()
    )
    graph = _graph([node], {"features": ("FP32", [-1, FEATURES])}, {"values": ("FP32", [-1, 1])}, {})
    case = {"features": generator.normal(size=(3, FEATURES)).astype(numpy.float32)}
    return _publish(root / name / version, graph, [case], {"batching": {"max_batch": 16}, **manifest})


def write_word_model(root: Path) -> Path:
    """Write a model `word-values` that looks words up: BYTES[rows] → float32[rows], -1 for any other word."""
    node = helper.make_node(
        "LabelEncoder",
        ["words"],
        ["values"],
        domain="ai.onnx.ml",
        keys_strings=["alien", "cowboy", "café"],
        values_floats=[1.0, 2.0, 3.0],
        default_float=-1.0,
    )
    graph = _graph([node], {"words": ("BYTES", [-1])}, {"values": ("FP32", [-1])}, {})
    return _publish(root / "word-values" / "1", graph, [{"words": numpy.array(["alien", "ghost"])}], {})


def write_identity_model(
    root: Path, tensors: Mapping[str, tuple[str, Shape]], samples: Mapping[str, Array], **manifest: Any
) -> Path:
    """Write a model `identity` that gives every input back as `<name>_again`.

    Args:
        root: folder of the model repository.
        tensors: name → (datatype, shape).
        samples: an array for each, for the golden case; not for BYTES, whose outputs are no numbers.
        manifest: entries of model.yaml that replace the usual ones.
    """
    nodes = [helper.make_node("Identity", [name], [f"{name}_again"]) for name in tensors]
    outputs = {f"{name}_again": described for name, described in tensors.items()}
    return _publish(root / "identity" / "1", _graph(nodes, tensors, outputs, {}), [samples], manifest)


def _publish(
    folder: Path, graph: onnx.ModelProto, cases: Sequence[Mapping[str, Array]], manifest: Mapping[str, Any]
) -> Path:
    document = {
        "name": folder.parent.name,
        "version": folder.name,
        "task": TASK,
        "description": "Numbers in, numbers out, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "required": True,
        "inputs": [_described(tensor) for tensor in graph.graph.input],
        "outputs": [_described(tensor) for tensor in graph.graph.output],
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0}}},
        **manifest,
    }
    publish_version(folder, document, graph, {}, cases, f"# {folder.parent.name}\n")
    return folder


def _described(tensor: onnx.ValueInfoProto) -> dict[str, Any]:
    element = tensor.type.tensor_type.elem_type
    datatype = next(name for name, code in _ELEMENTS.items() if code == element)
    shape = [axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.type.tensor_type.shape.dim]
    return {"name": tensor.name, "datatype": datatype, "shape": shape}


def _graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[str, Shape]],
    outputs: Mapping[str, tuple[str, Shape]],
    constants: Mapping[str, Array],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tensors",
        [_value(name, *described) for name, described in inputs.items()],
        [_value(name, *described) for name, described in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def _value(name: str, datatype: str, shape: Shape) -> onnx.ValueInfoProto:
    axes = [f"{name}_{axis}" if length == -1 else length for axis, length in enumerate(shape)]
    return helper.make_tensor_value_info(name, _ELEMENTS[datatype], axes)


def _random_trees(trees: int, depth: int, generator: numpy.random.Generator) -> dict[str, list[Any]]:
    """Return the attributes of complete trees with random splits and leaves; node n has the children 2n+1 and 2n+2."""
    inner, nodes = 2**depth - 1, 2 ** (depth + 1) - 1
    places = [(tree, node) for tree in range(trees) for node in range(nodes)]
    leaves = [(tree, node) for tree, node in places if node >= inner]
    return {
        "nodes_treeids": [tree for tree, _ in places],
        "nodes_nodeids": [node for _, node in places],
        "nodes_modes": ["LEAF" if node >= inner else "BRANCH_LEQ" for _, node in places],
        "nodes_featureids": [0 if node >= inner else int(generator.integers(FEATURES)) for _, node in places],
        "nodes_values": [0.0 if node >= inner else float(generator.normal()) for _, node in places],
        "nodes_truenodeids": [0 if node >= inner else 2 * node + 1 for _, node in places],
        "nodes_falsenodeids": [0 if node >= inner else 2 * node + 2 for _, node in places],
        "target_treeids": [tree for tree, _ in leaves],
        "target_nodeids": [node for _, node in leaves],
        "target_ids": [0] * len(leaves),
        "target_weights": [float(generator.normal()) for _ in leaves],
    }
