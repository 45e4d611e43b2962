"""The next-item Transformer as an ONNX history scorer: one user, no batch axis, contributions of each event."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from services.runtime.training.graph_builder import GraphBuilder
from services.runtime.training.history_scorer import END, finish_history_scorer
from services.text.training.next_item.options import NextItemOptions

Floats = NDArray[np.float32]


def next_item_graph(
    parameters: Mapping[str, Floats],
    options: NextItemOptions,
    hidden_logit: np.float32,
    largest_logit: float,
    norm_epsilon: float,
) -> onnx.ModelProto:
    """Writes the network; the arguments after the options are the constants of its reference."""
    return _Writer(parameters, options, hidden_logit, largest_logit, norm_epsilon).model()


class _Writer:
    """Writes layer after layer; R is the number of events within the window, S = R + 1 with the start row."""

    def __init__(
        self,
        parameters: Mapping[str, Floats],
        options: NextItemOptions,
        hidden_logit: np.float32,
        largest_logit: float,
        norm_epsilon: float,
    ) -> None:
        self._parameters, self._options = parameters, options
        self._hidden_logit, self._largest_logit, self._epsilon = hidden_logit, np.float32(largest_logit), norm_epsilon
        self._builder = GraphBuilder()

    def model(self) -> onnx.ModelProto:
        """Returns the graph."""
        builder, options = self._builder, self._options
        count = len(self._parameters["candidates"])
        start, end = builder.constant("window_start", [-options.window]), builder.constant("window_end", [END])
        rows = builder.node("Slice", "recent_rows", "history_rows", start, end)
        weights = builder.node("Slice", "recent_weights", "history_weights", start, end)
        builder.node("Shape", "recent_count", rows)
        sequence = builder.node("Concat", "sequence", builder.constant("start_row", [count]), rows, axis=0)
        length = builder.node("Squeeze", "length", builder.node("Shape", "sequence_count", sequence))
        back = self._steps_back(length)
        vectors = builder.node("Gather", "item_vectors", self._array("items"), sequence, axis=0)
        scale = builder.constant("scale", np.float32(math.sqrt(options.dimensions)))
        hidden = builder.node("Mul", "embedded", vectors, scale)
        for layer in range(options.layers):
            hidden = self._block(f"blocks.{layer}.", hidden, back)
        pooled = self._pooling(self._norm("norm", hidden), rows, weights, back)
        user = builder.node("ReduceSum", "user_vector", pooled, builder.constant("axis_0", [0]), keepdims=1)
        candidates = self._array("candidates")
        raw = builder.node("Gemm", "raw_scores_row", user, candidates, transB=1)
        chosen = builder.node("Gather", "candidate_vectors", candidates, "candidate_rows", axis=0)
        columns = builder.node("Transpose", "candidate_columns", chosen, perm=[1, 0])
        contributions = builder.node("MatMul", "recent_contributions", pooled, columns)
        return finish_history_scorer(builder, raw, contributions, count)

    def _steps_back(self, length: str) -> str:
        """float32[S, S]: how far each place lies behind each place; negative ahead of it."""
        builder = self._builder
        zero, one = builder.constant("range_start", np.int64(0)), builder.constant("range_step", np.int64(1))
        places = builder.node("Cast", "places", builder.node("Range", "place_numbers", zero, length, one), to=1)
        column = builder.node("Unsqueeze", "place_column", places, builder.constant("last_axis", [1]))
        return builder.node("Sub", "steps_back", column, places)

    def _block(self, name: str, hidden: str, back: str) -> str:
        builder, options = self._builder, self._options
        mixed = self._linear(name + "mix", self._norm(name + "norm", hidden))
        query = builder.node("Split", name + "query", mixed, outputs=3, axis=1)
        key, value = name + "query_2", name + "query_3"
        logits = self._logits(name, query, key, options.heads)
        distance = builder.node("Mul", name + "distance", self._column(name + "slopes"), back)
        logits = builder.node("Sub", name + "near_logits", logits, distance)
        ahead = builder.node("Less", name + "ahead", back, builder.constant("zero", np.float32(0)))
        hidden_logit = builder.constant("hidden_logit", self._hidden_logit)
        visible = builder.node("Where", name + "visible_logits", ahead, hidden_logit, logits)
        attention = builder.node("Softmax", name + "attention", visible, axis=-1)
        seen = builder.node("MatMul", name + "seen", attention, self._heads(name + "value", value, options.heads))
        joined = self._joined(name + "joined", seen)
        hidden = builder.node("Add", name + "after_attention", hidden, self._linear(name + "join", joined))
        inner = self._gelu(name, self._linear(name + "widen", self._norm(name + "inner_norm", hidden)))
        return builder.node("Add", name + "after_inner", hidden, self._linear(name + "narrow", inner))

    def _pooling(self, hidden: str, rows: str, weights: str, back: str) -> str:
        """float32[R, D]: what each event adds to the user's vector."""
        builder, heads = self._builder, self._options.pooling_heads
        one, end = builder.constant("first_event", [1]), builder.constant("events_end", [END])
        last, first_axis = builder.constant("last_place", [-1]), builder.constant("places_axis", [0])
        events = builder.node("Slice", "event_states", hidden, one, end, first_axis)
        newest = builder.node("Slice", "newest_state", hidden, last, end, first_axis)
        logits = self._logits("pooling.", self._linear("query", newest), self._linear("key", events), heads)
        newest_back = builder.node("Slice", "newest_steps_back", back, last, end, first_axis)
        columns = builder.constant("events_axis", [1])
        event_back = builder.node("Slice", "event_steps_back", newest_back, one, end, columns)
        distance = builder.node("Mul", "pooling.distance", self._column("slopes"), event_back)
        near = builder.node("Sub", "pooling.near_logits", logits, distance)
        cut = builder.node("Min", "pooling.cut_logits", near, builder.constant("largest_logit", self._largest_logit))
        alpha = builder.node("Transpose", "event_weights", builder.node("Exp", "alpha", cut), perm=[2, 0, 1])
        own = builder.node("Gather", "own_values", self._array("values"), rows, axis=0)
        values = builder.node("Add", "event_values", own, self._linear("value", events))
        column = builder.node("Unsqueeze", "weight_column", weights, builder.constant("weight_axis", [1]))
        strong = builder.node("Mul", "weighted_values", values, column)
        split = builder.node("Reshape", "values_by_head", strong, self._shape(heads))
        pooled = builder.node("Mul", "pooled_by_head", split, alpha)
        return builder.node("Reshape", "pooled", pooled, builder.constant("flat", [-1, self._options.dimensions]))

    def _logits(self, name: str, query: str, key: str, heads: int) -> str:
        """float32[heads, Q, K]: scaled products of queries [Q, D] and keys [K, D]."""
        builder = self._builder
        keys = builder.node("Transpose", name + "key_columns", self._heads(name + "keys", key, heads), perm=[0, 2, 1])
        products = builder.node("MatMul", name + "products", self._heads(name + "queries", query, heads), keys)
        root = builder.constant(f"root_for_{heads}_heads", np.float32(math.sqrt(self._options.dimensions / heads)))
        return builder.node("Div", name + "logits", products, root)

    def _heads(self, name: str, value: str, heads: int) -> str:
        """[S, D] to [heads, S, D / heads]."""
        split = self._builder.node("Reshape", name + "_split", value, self._shape(heads))
        return self._builder.node("Transpose", name + "_heads", split, perm=[1, 0, 2])

    def _joined(self, name: str, value: str) -> str:
        turned = self._builder.node("Transpose", name + "_turned", value, perm=[1, 0, 2])
        flat = self._builder.constant("flat", [-1, self._options.dimensions])
        return self._builder.node("Reshape", name, turned, flat)

    def _shape(self, heads: int) -> str:
        return self._builder.constant(f"split_{heads}", [-1, heads, self._options.dimensions // heads])

    def _linear(self, name: str, value: str) -> str:
        weight, bias = self._array(name + ".weight"), self._array(name + ".bias")
        return self._builder.node("Gemm", name + "_output", value, weight, bias, transB=1)

    def _norm(self, name: str, value: str) -> str:
        weight, bias = self._array(name + ".weight"), self._array(name + ".bias")
        return self._builder.node(
            "LayerNormalization", name + "_output", value, weight, bias, axis=-1, epsilon=self._epsilon
        )

    def _gelu(self, name: str, value: str) -> str:
        builder = self._builder
        scaled = builder.node("Div", name + "scaled", value, builder.constant("root_of_two", np.float32(math.sqrt(2))))
        error = builder.node("Erf", name + "error", scaled)
        gate = builder.node("Add", name + "gate", error, builder.constant("one", np.float32(1)))
        gated = builder.node("Mul", name + "gated", value, gate)
        return builder.node("Div", name + "gelu", gated, builder.constant("two", np.float32(2)))

    def _column(self, name: str) -> str:
        """float32[heads, 1, 1]."""
        return self._builder.constant(name + "_column", self._parameters[name][:, None, None])

    def _array(self, name: str) -> str:
        return self._builder.constant(name, self._parameters[name])
