"""The graphs that the benchmark writes itself, with `onnx.helper` alone: a trivial one, and a random forest."""

from __future__ import annotations

from typing import Any

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
MACHINE_LEARNING_OPSET = 3
IR_VERSION = 9
TRIVIAL_WIDTH = 16


def trivial_graph() -> onnx.ModelProto:
    """Return a graph that doubles: float32[N, 16] `values` in, `doubled` out."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["values", "two"], ["doubled"])],
        "trivial",
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["rows", TRIVIAL_WIDTH])],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["rows", TRIVIAL_WIDTH])],
        [numpy_helper.from_array(numpy.array(2, numpy.float32), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def forest_graph(forest: Any, features: int) -> onnx.ModelProto:
    """Return the graph of a fitted `RandomForestClassifier`.

    float32[N, features] `features` in, float32[N, classes] `probabilities` out. scikit-learn compares with thresholds
    in double precision: equal answers need features whose thresholds are exact in single precision, as those between
    whole numbers are.
    """
    nodes: dict[str, Any] = {
        name: []
        for name in (
            "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values",
            "nodes_truenodeids", "nodes_falsenodeids", "class_treeids", "class_nodeids", "class_ids", "class_weights",
        )
    }  # fmt: skip
    trees = [estimator.tree_ for estimator in forest.estimators_]
    for number, tree in enumerate(trees):
        _add_tree(nodes, number, tree, len(trees))
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["features"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_int64s=[int(label) for label in forest.classes_],
        post_transform="NONE",
        **nodes,
    )
    graph = helper.make_graph(
        [node],
        "random_forest",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", len(forest.classes_)])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", MACHINE_LEARNING_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _add_tree(nodes: dict[str, Any], number: int, tree: Any, trees: int) -> None:
    leaf = tree.children_left == -1
    count = tree.node_count
    nodes["nodes_treeids"] += [number] * count
    nodes["nodes_nodeids"] += range(count)
    nodes["nodes_featureids"] += numpy.where(leaf, 0, tree.feature).tolist()
    nodes["nodes_modes"] += numpy.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
    nodes["nodes_values"] += numpy.where(leaf, 0.0, tree.threshold).tolist()
    nodes["nodes_truenodeids"] += numpy.where(leaf, 0, tree.children_left).tolist()
    nodes["nodes_falsenodeids"] += numpy.where(leaf, 0, tree.children_right).tolist()
    for row in numpy.flatnonzero(leaf).tolist():
        votes = tree.value[row][0]
        for label, weight in enumerate((votes / votes.sum() / trees).tolist()):
            if weight:
                nodes["class_treeids"].append(number)
                nodes["class_nodeids"].append(row)
                nodes["class_ids"].append(label)
                nodes["class_weights"].append(weight)
