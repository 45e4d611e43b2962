"""The SVM as standard ONNX operators: five calibrated halves, averaged, and each word's share."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from services.runtime.training.comment_svm import SvmParts
from services.runtime.training.graph_builder import GraphBuilder, tensor


def build_graph(svm: SvmParts) -> onnx.ModelProto:
    """Return the graph: `rows` int64 [B, W], `values` float32 [B, W] -> `probability` [B], `contributions` [B, W].

    Row 0 is no word: its weights are zero. A word's contribution is its value times the mean weight of the halves.
    """
    weights = np.concatenate([np.zeros((1, len(svm.weights))), svm.weights.T]).astype(np.float32)
    graph = GraphBuilder()
    chosen = graph.node("Gather", "word_weights", graph.constant("weights", weights), "rows")
    column = graph.node("Unsqueeze", "value_columns", "values", graph.constant("last_axis", np.array([-1])))
    shares = graph.node("Mul", "shares", chosen, column)
    margins = graph.node("ReduceSum", "sums", shares, graph.constant("word_axis", np.array([1])), keepdims=0)
    margins = graph.node("Add", "margins", margins, graph.constant("intercepts", svm.intercepts.astype(np.float32)))
    scaled = graph.node("Mul", "scaled", margins, graph.constant("slopes", (-svm.slopes).astype(np.float32)))
    logits = graph.node("Add", "logits", scaled, graph.constant("offsets", (-svm.offsets).astype(np.float32)))
    graph.node("ReduceMean", "probability", graph.node("Sigmoid", "halves", logits), axes=[1], keepdims=0)
    graph.node("ReduceMean", "contributions", shares, axes=[2], keepdims=0)
    return graph.model(
        "toxicity_svm",
        [tensor("rows", TensorProto.INT64, ["B", "W"]), tensor("values", TensorProto.FLOAT, ["B", "W"])],
        [tensor("probability", TensorProto.FLOAT, ["B"]), tensor("contributions", TensorProto.FLOAT, ["B", "W"])],
    )
