"""The history scorer: what every candidate scorer of a bundle looks like from outside, whatever its model family.

A history scorer takes one user and no batch axis:

    inputs   history_rows int64[H], oldest first, repeats allowed, H may be 0; history_weights float32[H];
             exclude_rows int64[E]; allowed bool[N]; k int64[1]; candidate_rows int64[C], C may be 0
    outputs  top_rows int64[K] and top_scores float32[K], best first, what is not allowed or excluded at minus
             infinity, K = min(k, N); statistics float32[2], mean and standard deviation of all N raw scores;
             candidate_scores float32[C], raw; contributions float32[H, C], whose columns add up to candidate_scores
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from services.runtime.training.graph_builder import GraphBuilder, tensor

END = np.iinfo(np.int64).max
"""The end of a slice that has none."""


def recent_history(builder: GraphBuilder, decay: float, window: int) -> tuple[str, str]:
    """The newest `window` events: names of their rows int64[R] and strengths float32[R], weight × decay."""
    start, end = builder.constant("window_start", [-window]), builder.constant("window_end", [END])
    rows = builder.node("Slice", "recent_rows", "history_rows", start, end)
    weights = builder.node("Slice", "recent_weights", "history_weights", start, end)
    # The decays are stored oldest first, so a history shorter than the window takes their tail.
    powers = np.power(np.float32(decay), np.arange(window - 1, -1, -1, dtype=np.float32))
    decays = builder.constant("decays", powers.astype(np.float32))
    count = builder.node("Shape", "recent_count", rows)
    first = builder.node("Sub", "first_decay", builder.constant("window", [window]), count)
    tail = builder.node("Slice", "recent_decays", decays, first, builder.constant("decay_end", [END]))
    return rows, builder.node("Mul", "strengths", weights, tail)


def column(builder: GraphBuilder, strengths: str) -> str:
    """float32[R] to float32[R, 1]."""
    return builder.node("Unsqueeze", "strength_column", strengths, builder.constant("axis_1", [1]))


def older_contributions(builder: GraphBuilder, recent: str) -> None:
    """Adds the output `contributions`: events before the window add nothing, so zeros above those of recent events."""
    history_count = builder.node("Shape", "history_count", "history_rows")
    older = builder.node("Sub", "older_count", history_count, "recent_count")
    candidate_count = builder.node("Shape", "candidate_count", "candidate_rows")
    shape = builder.node("Concat", "older_shape", older, candidate_count, axis=0)
    zero = numpy_helper.from_array(np.zeros(1, np.float32))
    nothing = builder.node("ConstantOfShape", "older_contributions", shape, value=zero)
    builder.node("Concat", "contributions", nothing, recent, axis=0)


def finish_history_scorer(builder: GraphBuilder, raw: str, recent: str, count: int) -> onnx.ModelProto:
    """Adds everything that follows from what is a scorer's own business.

    Args:
        builder: Holds the nodes that make the two values; `recent_count`, int64[1], the number R of events that the
            scorer looks at, is among them.
        raw: Name of the raw scores, float32[1, N].
        recent: Name of the contributions of the newest R events, float32[R, C].
        count: N.
    """
    scores = builder.node("Squeeze", "raw_scores", raw, builder.constant("axis_first", [0]))
    builder.node("Gather", "candidate_scores", scores, "candidate_rows", axis=0)

    mean = builder.node("ReduceMean", "mean", scores, axes=[0], keepdims=1)
    centred = builder.node("Sub", "centred_scores", scores, mean)
    squared = builder.node("Mul", "squared_scores", centred, centred)
    variance = builder.node("ReduceMean", "variance", squared, axes=[0], keepdims=1)
    deviation = builder.node("Sqrt", "deviation", variance)
    builder.node("Concat", "statistics", mean, deviation, axis=0)

    exclude_shape = builder.node("Shape", "exclude_shape", "exclude_rows")
    refused = builder.node("Expand", "refused", builder.constant("false", [False]), exclude_shape)
    open_rows = builder.node("ScatterElements", "open_rows", "allowed", "exclude_rows", refused, axis=0)
    lowest = builder.constant("minus_infinity", np.array([-np.inf], np.float32))
    masked = builder.node("Where", "masked_scores", open_rows, scores, lowest)
    size = builder.constant("item_count", [count])
    wanted = builder.node("Max", "wanted", "k", builder.constant("nothing", [0]))
    clipped = builder.node("Min", "clipped", wanted, size)
    builder.node("TopK", "top_scores", masked, clipped, outputs=2, axis=0, largest=1, sorted=1)
    builder.node("Identity", "top_rows", "top_scores_2")
    older_contributions(builder, recent)
    return builder.model(
        "history_scorer",
        [
            tensor("history_rows", TensorProto.INT64, ["H"]),
            tensor("history_weights", TensorProto.FLOAT, ["H"]),
            tensor("exclude_rows", TensorProto.INT64, ["E"]),
            tensor("allowed", TensorProto.BOOL, [count]),
            tensor("k", TensorProto.INT64, [1]),
            tensor("candidate_rows", TensorProto.INT64, ["C"]),
        ],
        [
            tensor("top_rows", TensorProto.INT64, ["K"]),
            tensor("top_scores", TensorProto.FLOAT, ["K"]),
            tensor("statistics", TensorProto.FLOAT, [2]),
            tensor("candidate_scores", TensorProto.FLOAT, ["C"]),
            tensor("contributions", TensorProto.FLOAT, ["H", "C"]),
        ],
    )
