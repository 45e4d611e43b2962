"""Segments: groups of users with alike behaviour, and what to call them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto
from sklearn.cluster import KMeans

from services.classical.behaviour_features import FEATURES
from services.classical.training.behaviour.rows import Rows
from services.classical.training.dataset import Floats
from services.runtime.training.graph_builder import GraphBuilder, tensor

SEGMENTS = 6
_USED = ("sessions", "recency", "mean_gap", "mean_value")
_SEED = 1


def fit_segments(rows: Rows) -> tuple[Floats, Floats, Floats, list[str]]:
    """Clusters users by how often, how lately and how much (S. Lloyd, "Least squares quantization in PCM", 1982).

    Returns:
        float32[F] means, float32[F] scales (0 for features that do not count), float32[K, F] centres, K names.
    """
    means, scales = rows.features.mean(axis=0), rows.features.std(axis=0)
    weights = np.array([1.0 if name in _USED else 0.0 for name in FEATURES]) / np.maximum(scales, 1e-6)
    scaled = (rows.features - means) * weights
    model = KMeans(SEGMENTS, n_init=10, random_state=_SEED).fit(scaled)
    centres = model.cluster_centers_
    return (
        means.astype(np.float32),
        weights.astype(np.float32),
        centres.astype(np.float32),
        [_describe(centre) for centre in centres],
    )


def segment_graph(means: Floats, weights: Floats, centres: Floats) -> onnx.ModelProto:
    """Inputs: features float32[R, F]. Outputs: value int64[R], the nearest centre."""
    builder = GraphBuilder()
    centred = builder.node("Sub", "centred", "features", builder.constant("means", means))
    scaled = builder.node("Mul", "scaled", centred, builder.constant("weights", weights))
    cross = builder.node("MatMul", "cross", scaled, builder.constant("centres", -2 * centres.T))
    # The own norm is the same for all centres, so it changes no order.
    distances = builder.node("Add", "distances", cross, builder.constant("norms", (centres**2).sum(axis=1)))
    builder.node("ArgMin", "value", distances, axis=1, keepdims=0)
    return builder.model(
        "segments",
        [tensor("features", TensorProto.FLOAT, ["R", len(FEATURES)])],
        [tensor("value", TensorProto.INT64, ["R"])],
    )


def _describe(centre: Floats) -> str:
    """Says in words where a centre lies, in standard deviations from the mean of everybody."""
    sessions, recency, gap, value = (float(centre[FEATURES.index(name)]) for name in _USED)
    often = "comes often" if sessions > 0.5 else "comes now and then" if sessions > -0.4 else "has hardly come"
    lately = (
        "was here lately" if recency < -0.5 else "has been away for long" if recency > 0.4 else "was here some time ago"
    )
    rhythm = ", at short intervals" if gap < -0.5 and sessions > -0.4 else ""
    much = "spends much" if value > 0.5 else "spends little" if value < -0.5 else "spends as most do"
    return f"{often}{rhythm}, {lately}, {much}"
