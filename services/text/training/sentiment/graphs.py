"""The small sentiment networks as ONNX graphs of standard operators; tables are int8 rows with a scale each."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from services.runtime.training.graph_builder import GraphBuilder, tensor
from services.runtime.training.rounding import round_rows
from services.text.training.sentiment.networks import ABSENT, AveragingNetwork, RecurrentNetwork

INPUTS = [tensor(name, TensorProto.INT64, ["B", "T"]) for name in ("input_ids", "attention_mask")]
OUTPUTS = [tensor("sentiment", TensorProto.FLOAT, ["B", 2])]

Floats = NDArray[np.float32]


def averaging_graph(network: AveragingNetwork) -> onnx.ModelProto:
    """Return the graph: `input_ids`, `attention_mask` int64 [B, T] -> `sentiment` float32 [B, 2]."""
    graph = GraphBuilder()
    rows = _look_up(graph, _array(network.table))
    weights = graph.node(
        "Gather", "weights", graph.constant("weight_table", np.exp(_array(network.token_weight))), "input_ids"
    )
    real = graph.node("Cast", "real", "attention_mask", to=TensorProto.FLOAT)
    weights = graph.node("Mul", "real_weights", weights, real)
    axis = graph.constant("token_axis", np.array([1]))
    line = graph.node("Unsqueeze", "weight_lines", weights, axis)
    total = graph.node("Squeeze", "sums", graph.node("MatMul", "sum_lines", line, rows), axis)
    length = graph.node("ReduceSum", "weight_sums", weights, axis, keepdims=1)
    length = graph.node("Max", "safe_sums", length, graph.constant("least", np.float32(1e-6)))
    hidden = graph.node(
        "Relu", "hidden", _linear(graph, "hidden_layer", graph.node("Div", "mean", total, length), network.hidden)
    )
    _linear(graph, "sentiment", hidden, network.output)
    return graph.model("word_embedding_sentiment", INPUTS, OUTPUTS)


def recurrent_graph(network: RecurrentNetwork) -> onnx.ModelProto:
    """Return the graph: `input_ids`, `attention_mask` int64 [B, T] -> `sentiment` float32 [B, 2]."""
    graph = GraphBuilder()
    rows = _look_up(graph, _array(network.get_buffer("table")))
    axis = graph.constant("token_axis", np.array([1]))
    lengths = graph.node("ReduceSum", "token_counts", "attention_mask", axis, keepdims=0)
    lengths = graph.node("Max", "lengths", lengths, graph.constant("one", np.int64(1)))
    short = graph.node("Cast", "short_lengths", lengths, to=TensorProto.INT32)
    steps = graph.node("Transpose", "steps", rows, perm=[1, 0, 2])
    weights = [graph.constant(name, value) for name, value in _gates(network.gru).items()]
    hidden_size = network.gru.hidden_size
    graph.node(
        "GRU",
        "states",
        steps,
        *weights,
        short,
        direction="bidirectional",
        hidden_size=hidden_size,
        linear_before_reset=1,
    )
    # [T, 2, B, H] -> [B, T, 2 H]
    states = graph.node("Transpose", "states_by_text", "states", perm=[2, 0, 1, 3])
    states = graph.node(
        "Reshape", "states_of_tokens", states, graph.constant("joined", np.array([0, 0, 2 * hidden_size]))
    )
    shape = graph.node("Shape", "ids_shape", "input_ids")
    width = graph.node("Gather", "width", shape, graph.constant("second", np.int64(1)))
    places = graph.node("Range", "places", graph.constant("zero", np.int64(0)), width, "one")
    inside = graph.node("Less", "inside", places, graph.node("Unsqueeze", "length_column", lengths, axis))
    absent = graph.node(
        "Where", "absent", inside, graph.constant("nothing", np.float32(0)), graph.constant("far", np.float32(ABSENT))
    )
    absent = graph.node("Unsqueeze", "absent_column", absent, graph.constant("last", np.array([-1])))
    scores = graph.node("MatMul", "scores", states, graph.constant("attention", _array(network.attention)))
    shares = graph.node("Softmax", "shares", graph.node("Add", "masked_scores", scores, absent), axis=1)
    attended = graph.node("ReduceSum", "attended", graph.node("Mul", "shared_states", states, shares), axis, keepdims=0)
    largest = graph.node(
        "ReduceMax", "largest", graph.node("Add", "masked_states", states, absent), axes=[1], keepdims=0
    )
    _linear(graph, "sentiment", graph.node("Concat", "pooled", attended, largest, axis=1), network.output)
    return graph.model("recurrent_sentiment", INPUTS, OUTPUTS)


def _look_up(graph: GraphBuilder, table: Floats) -> str:
    rounded = round_rows(table)
    values = graph.node("Gather", "stored_rows", graph.constant("table", rounded.values), "input_ids")
    scales = graph.node("Gather", "scales", graph.constant("row_scales", rounded.scales[:, None]), "input_ids")
    return graph.node("Mul", "rows", graph.node("Cast", "float_rows", values, to=TensorProto.FLOAT), scales)


def _linear(graph: GraphBuilder, name: str, value: str, layer: torch.nn.Linear) -> str:
    weight = graph.constant(f"{name}_weight", _array(layer.weight))
    return graph.node("Gemm", name, value, weight, graph.constant(f"{name}_bias", _array(layer.bias)), transB=1)


def _gates(gru: torch.nn.GRU) -> dict[str, Floats]:
    """Return W, R and B of the ONNX operator, whose gates come in the order update, reset, hidden."""

    def ordered(name: str) -> Floats:
        directions = []
        for suffix in ("", "_reverse"):
            reset, update, hidden = np.split(_array(getattr(gru, f"{name}_l0{suffix}")), 3)
            directions.append(np.concatenate([update, reset, hidden]))
        return np.stack(directions)

    biases = np.concatenate([ordered("bias_ih"), ordered("bias_hh")], axis=1)
    return {"input_weights": ordered("weight_ih"), "state_weights": ordered("weight_hh"), "biases": biases}


def _array(value: torch.Tensor) -> Floats:
    result: Floats = value.detach().numpy().astype(np.float32)
    return result
