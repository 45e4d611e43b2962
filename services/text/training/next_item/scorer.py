"""A fitted next-item Transformer as arrays, with the reference that its graph is checked against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import scipy.special

from services.text.training.next_item.graph import next_item_graph
from services.text.training.next_item.options import NextItemOptions
from services.text.training.next_item.sequences import EventSequences, Floats, Spans, history_windows

HIDDEN = np.float32(-1e9)
"""Logit of a place that attention must not see."""

LARGEST_LOGIT = 4.0
"""Logits of the pooling are cut here, so that no single event can drown the others without bound."""

NORM_EPSILON = 1e-5
_CHUNK = 64


@dataclass(frozen=True)
class NextItemTransformer:
    """Scores the catalogue as Σ αⱼ vⱼ · p, with α and v from self-attention over the newest events.

    Attributes:
        parameters: Name of a torch parameter to its float32 array; slopes are kept as what they are multiplied by.
        options: Sizes of the network.
    """

    parameters: Mapping[str, Floats]
    options: NextItemOptions

    def score(self, events: EventSequences, spans: Spans) -> Floats:
        """Scores every item for P histories: float32[P, N]; zeros for an empty history."""
        rows, weights, last = history_windows(events, spans, self.options.window)
        parts = [
            self._users(rows[chunk], weights[chunk], last[chunk])
            for chunk in (slice(place, place + _CHUNK) for place in range(0, len(rows), _CHUNK))
        ]
        users = np.concatenate(parts) if parts else np.zeros((0, self.options.dimensions), np.float32)
        return np.asarray(users @ self.parameters["candidates"].T, np.float32)

    def graph(self) -> onnx.ModelProto:
        """Writes the history scorer."""
        return next_item_graph(self.parameters, self.options, HIDDEN, LARGEST_LOGIT, NORM_EPSILON)

    def _users(self, rows: Any, weights: Floats, last: Any) -> Floats:
        values, options = self.parameters, self.options
        # Longer than the longest history of the chunk is padding only.
        length = int(last.max(initial=0)) + 1
        rows, weights = rows[:, :length], weights[:, :length]
        back = (np.arange(length)[:, None] - np.arange(length)).astype(np.float32)
        hidden = values["items"][rows] * np.float32(math.sqrt(options.dimensions))
        for layer in range(options.layers):
            name = f"blocks.{layer}."
            query, key, value = np.split(
                _linear(values, name + "mix", _norm(values, name + "norm", hidden)), 3, axis=-1
            )
            logits = _heads(query, options.heads) @ _heads(key, options.heads).swapaxes(-1, -2)
            logits = (
                logits / math.sqrt(options.dimensions / options.heads) - values[name + "slopes"][:, None, None] * back
            )
            attention = scipy.special.softmax(np.where(back < 0, HIDDEN, logits), axis=-1)
            joined = (attention @ _heads(value, options.heads)).swapaxes(1, 2).reshape(hidden.shape)
            hidden = hidden + _linear(values, name + "join", joined)
            inner = _gelu(_linear(values, name + "widen", _norm(values, name + "inner_norm", hidden)))
            hidden = hidden + _linear(values, name + "narrow", inner)
        hidden = _norm(values, "norm", hidden)
        newest = hidden[np.arange(len(rows)), last]
        query = _heads(_linear(values, "query", newest)[:, None], options.pooling_heads)
        key = _heads(_linear(values, "key", hidden), options.pooling_heads)
        steps_back = (last[:, None] - np.arange(length)).astype(np.float32)[:, None, None, :]
        logits = (query @ key.swapaxes(-1, -2)) / math.sqrt(options.dimensions / options.pooling_heads)
        logits = logits - values["slopes"][:, None, None] * steps_back
        alpha = np.where(steps_back < 0, 0, np.exp(np.minimum(logits, LARGEST_LOGIT)))
        vectors = (values["values"][rows] + _linear(values, "value", hidden)) * weights[..., None]
        pooled = (alpha @ _heads(vectors, options.pooling_heads)).swapaxes(1, 2)
        return np.asarray(pooled.reshape(len(rows), options.dimensions), np.float32)


def _linear(values: Mapping[str, Floats], name: str, inputs: Floats) -> Floats:
    return np.asarray(inputs @ values[name + ".weight"].T + values[name + ".bias"], np.float32)


def _norm(values: Mapping[str, Floats], name: str, inputs: Floats) -> Floats:
    centred = inputs - inputs.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(NORM_EPSILON))
    return np.asarray(centred / deviation * values[name + ".weight"] + values[name + ".bias"], np.float32)


def _gelu(inputs: Floats) -> Floats:
    return np.asarray(inputs * (1 + scipy.special.erf(inputs / np.float32(math.sqrt(2)))) / 2, np.float32)


def _heads(inputs: Floats, heads: int) -> Floats:
    """[B, L, D] to [B, heads, L, D / heads]."""
    batch, length, width = inputs.shape
    return inputs.reshape(batch, length, heads, width // heads).swapaxes(1, 2)
