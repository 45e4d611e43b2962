"""The language models as ONNX graphs of standard operators that take a state and return the next one.

Matrices are stored as float16 and computed with as float32: half the file, and answers that a batch cannot change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from services.runtime.training.graph_builder import GraphBuilder, tensor
from services.text.training.language_model.networks import (
    NORM_EPSILON,
    Decoder,
    DecoderLayer,
    Recurrent,
    rotary_speeds,
)

ABSENT = -1e9
Floats = NDArray[np.float32]


def decoder_graph(network: Decoder) -> onnx.ModelProto:
    """Return the graph of a step over any number of tokens.

    Inputs: `input_ids` int64 [B, T], `attention_mask` int64 [B, P + T], `position_ids` int64 [B, T], and for each layer
    `past_key_values.N.key` and `.value` float32 [B, heads, P, head width]. Outputs: `logits` float32 [B, T, V], and
    `present.N.key` and `.value` [B, heads, P + T, head width]. A token sees those before it whose mask is 1.
    """
    shape = network.shape
    graph = GraphBuilder()
    table = _stored(graph, "table", network.table)
    _positions(graph, shape.head_width)
    stream = _normalised(graph, "stream_0", graph.node("Gather", "token_rows", table, "input_ids"), None)
    states: list[str] = []
    for number, layer in enumerate(network.layers):
        assert isinstance(layer, DecoderLayer)
        stream = _layer(graph, number, stream, layer)
        states += [f"present.{number}.key", f"present.{number}.value"]
    last = _normalised(graph, "last_stream", stream, network.norm)
    graph.node("MatMul", "logits", last, graph.node("Transpose", "output_table", table, perm=[1, 0]))
    kept = ["B", shape.heads, "P", shape.head_width]
    grown = ["B", shape.heads, "S", shape.head_width]
    inputs = [
        tensor("input_ids", TensorProto.INT64, ["B", "T"]),
        tensor("attention_mask", TensorProto.INT64, ["B", "S"]),
        tensor("position_ids", TensorProto.INT64, ["B", "T"]),
        *(tensor(name.replace("present", "past_key_values"), TensorProto.FLOAT, kept) for name in states),
    ]
    outputs = [
        tensor("logits", TensorProto.FLOAT, ["B", "T", shape.tokens]),
        *(tensor(name, TensorProto.FLOAT, grown) for name in states),
    ]
    return graph.model("decoder_language_model", inputs, outputs)


def recurrent_graph(network: Recurrent) -> onnx.ModelProto:
    """Return the graph of a step over any number of tokens.

    Inputs: `input_ids` int64 [B, T]; `hidden` and `cell` float32 [B, hidden]. Outputs: `logits` float32 [B, T, V];
    `next_hidden` and `next_cell`.
    """
    shape = network.shape
    graph = GraphBuilder()
    table = _stored(graph, "table", network.table)
    rows = _normalised(graph, "rows", graph.node("Gather", "token_rows", table, "input_ids"), None)
    steps = graph.node("Transpose", "steps", rows, perm=[1, 0, 2])
    lstm = network.lstm
    weights = [
        _stored(graph, "input_weights", _gates(lstm.weight_ih_l0)[None]),
        _stored(graph, "state_weights", _gates(lstm.weight_hh_l0)[None]),
        graph.constant("biases", np.concatenate([_gates(lstm.bias_ih_l0), _gates(lstm.bias_hh_l0)])[None]),
    ]
    axis = graph.constant("direction_axis", np.array([0]))
    before = [graph.node("Unsqueeze", f"{name}_line", name, axis) for name in ("hidden", "cell")]
    # The empty input is the lengths: all steps are real.
    graph.node("LSTM", "states", steps, *weights, "", *before, outputs=3, hidden_size=shape.hidden)
    graph.node("Squeeze", "next_hidden", "states_2", axis)
    graph.node("Squeeze", "next_cell", "states_3", axis)
    # [T, 1, B, H] -> [B, T, H]
    states = graph.node("Squeeze", "states_of_steps", "states", graph.constant("one_axis", np.array([1])))
    states = graph.node("Transpose", "states_by_text", states, perm=[1, 0, 2])
    said = _product(graph, "projected", states, network.projection)
    last = _normalised(graph, "last_stream", graph.node("Add", "stream", rows, said), network.norm)
    graph.node("MatMul", "logits", last, graph.node("Transpose", "output_table", table, perm=[1, 0]))
    state = ["B", shape.hidden]
    inputs = [
        tensor("input_ids", TensorProto.INT64, ["B", "T"]),
        *(tensor(name, TensorProto.FLOAT, state) for name in ("hidden", "cell")),
    ]
    outputs = [
        tensor("logits", TensorProto.FLOAT, ["B", "T", shape.tokens]),
        *(tensor(name, TensorProto.FLOAT, state) for name in ("next_hidden", "next_cell")),
    ]
    return graph.model("recurrent_language_model", inputs, outputs)


def _positions(graph: GraphBuilder, head_width: int) -> None:
    """Make what all layers share: cosines and sines [B, 1, T, half], absence [B, 1, T, S] and the mask of keys."""
    last_axis = graph.constant("last_axis", np.array([-1]))
    places = graph.node("Cast", "float_positions", "position_ids", to=TensorProto.FLOAT)
    places = graph.node("Unsqueeze", "position_column", places, graph.constant("pair_axes", np.array([1, 3])))
    speeds = graph.constant("rotary_speeds", np.array(rotary_speeds(head_width), np.float32))
    angles = graph.node("Mul", "angles", places, speeds)
    graph.node("Cos", "cosines", angles)
    graph.node("Sin", "sines", angles)
    # Query t of T is key S - T + t of S; it sees itself and what was before.
    zero, one = graph.constant("zero", np.int64(0)), graph.constant("one", np.int64(1))
    second = graph.constant("second", np.int64(1))
    tokens = graph.node("Gather", "tokens", graph.node("Shape", "ids_shape", "input_ids"), second)
    keys = graph.node("Gather", "keys", graph.node("Shape", "mask_shape", "attention_mask"), second)
    key_places = graph.node("Range", "key_places", zero, keys, one)
    own = graph.node("Range", "own_places", graph.node("Sub", "past", keys, tokens), keys, one)
    own = graph.node("Unsqueeze", "own_column", own, last_axis)
    before = graph.node("LessOrEqual", "not_later", key_places, own)
    real = graph.node("Cast", "real", "attention_mask", to=TensorProto.BOOL)
    real = graph.node("Unsqueeze", "real_line", real, graph.constant("mask_axes", np.array([1, 2])))
    seen = graph.node("And", "seen", real, before)
    graph.node(
        "Where", "absence", seen, graph.constant("nothing", np.float32(0)), graph.constant("far", np.float32(ABSENT))
    )
    real = graph.node("Cast", "float_mask", "attention_mask", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", "key_mask", real, graph.constant("key_axes", np.array([1, 3])))


def _layer(graph: GraphBuilder, number: int, stream: str, layer: DecoderLayer) -> str:
    name = f"layer_{number}"
    heads, width = layer.heads, layer.head_width
    before = _normalised(graph, f"{name}_attention_input", stream, layer.attention_norm)
    parts = _product(graph, f"{name}_parts", before, layer.queries_keys_values)
    split = graph.constant("parts_shape", np.array([0, 0, 3 * heads, width]))
    parts = graph.node("Reshape", f"{name}_heads", parts, split)
    parts = graph.node("Transpose", f"{name}_heads_first", parts, perm=[0, 2, 1, 3])
    graph.node("Split", f"{name}_part", parts, graph.constant("part_sizes", np.array([heads] * 3)), outputs=3, axis=1)
    queries = _rotated(graph, f"{name}_queries", f"{name}_part")
    keys = _rotated(graph, f"{name}_keys", f"{name}_part_2")
    key, value = f"present.{number}.key", f"present.{number}.value"
    graph.node("Concat", key, f"past_key_values.{number}.key", keys, axis=2)
    graph.node("Concat", value, f"past_key_values.{number}.value", f"{name}_part_3", axis=2)
    # Each key also holds a part of the one before it, unless that one is padding.
    real = graph.node("Mul", f"{name}_real_keys", key, "key_mask")
    shift = graph.constant("shift", np.array([0, 0, 1, 0, 0, 0, -1, 0]))
    earlier = graph.node("Pad", f"{name}_earlier_keys", real, shift)
    earlier = graph.node("Mul", f"{name}_smear", earlier, graph.constant(f"{name}_share", _array(layer.smear)))
    smeared = graph.node("Add", f"{name}_smeared_keys", key, earlier)
    across = graph.node("Transpose", f"{name}_keys_across", smeared, perm=[0, 1, 3, 2])
    scale = graph.constant("attention_scale", np.float32(width**-0.5))
    scores = graph.node("MatMul", f"{name}_scores", graph.node("Mul", f"{name}_scaled", queries, scale), across)
    shares = graph.node("Softmax", f"{name}_shares", graph.node("Add", f"{name}_seen", scores, "absence"), axis=-1)
    attended = graph.node("MatMul", f"{name}_attended", shares, value)
    attended = graph.node("Transpose", f"{name}_attended_tokens", attended, perm=[0, 2, 1, 3])
    joined = graph.constant("stream_shape", np.array([0, 0, heads * width]))
    attended = graph.node("Reshape", f"{name}_attended_lines", attended, joined)
    added = _product(graph, f"{name}_attention_output", attended, layer.attended)
    stream = graph.node("Add", f"{name}_stream", stream, added)
    before = _normalised(graph, f"{name}_hidden_input", stream, layer.hidden_norm)
    hidden = graph.node("Relu", f"{name}_positive", _product(graph, f"{name}_hidden", before, layer.hidden))
    hidden = graph.node("Mul", f"{name}_squared", hidden, hidden)
    return graph.node("Add", f"{name}_output_stream", stream, _product(graph, f"{name}_output", hidden, layer.output))


def _rotated(graph: GraphBuilder, name: str, heads: str) -> str:
    graph.node("Split", f"{name}_half", heads, outputs=2, axis=-1)
    first, second = f"{name}_half", f"{name}_half_2"

    def product(label: str, half: str, factor: str) -> str:
        return graph.node("Mul", f"{name}_{label}", half, factor)

    left = graph.node(
        "Sub", f"{name}_left", product("first_cos", first, "cosines"), product("second_sin", second, "sines")
    )
    right = graph.node(
        "Add", f"{name}_right", product("second_cos", second, "cosines"), product("first_sin", first, "sines")
    )
    return graph.node("Concat", f"{name}_rotated", left, right, axis=-1)


def _normalised(graph: GraphBuilder, name: str, stream: str, gain: torch.Tensor | None) -> str:
    squares = graph.node("Mul", f"{name}_squares", stream, stream)
    mean = graph.node("ReduceMean", f"{name}_mean", squares, axes=[-1], keepdims=1)
    mean = graph.node("Add", f"{name}_safe_mean", mean, graph.constant("norm_epsilon", np.float32(NORM_EPSILON)))
    root = graph.node("Sqrt", f"{name}_root", mean)
    if gain is None:
        return graph.node("Div", name, stream, root)
    even = graph.node("Div", f"{name}_even", stream, root)
    return graph.node("Mul", name, even, graph.constant(f"{name}_gain", _array(gain)))


def _product(graph: GraphBuilder, name: str, value: str, layer: torch.nn.Linear) -> str:
    return graph.node("MatMul", name, value, _stored(graph, f"{name}_weight", _array(layer.weight).T))


def _stored(graph: GraphBuilder, name: str, value: Any) -> str:
    array = _array(value) if isinstance(value, torch.Tensor) else value
    stored = graph.constant(f"{name}_stored", np.ascontiguousarray(array).astype(np.float16))
    return graph.node("Cast", name, stored, to=TensorProto.FLOAT)


def _gates(value: torch.Tensor) -> Floats:
    """Return the gates in the order of the ONNX operator: input, output, forget, cell."""
    entrance, forget, cell, output = np.split(_array(value), 4)
    return np.concatenate([entrance, output, forget, cell])


def _array(value: torch.Tensor) -> Floats:
    result: Floats = value.detach().numpy().astype(np.float32)
    return result
