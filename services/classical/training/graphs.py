"""ONNX graphs of a bundle: history scorers and the linear ranker.

A history scorer takes one user and no batch axis:

    inputs   history_rows int64[H], oldest first, repeats allowed, H may be 0; history_weights float32[H];
             exclude_rows int64[E]; allowed bool[N]; k int64[1]; candidate_rows int64[C], C may be 0
    outputs  top_rows int64[K] and top_scores float32[K], best first, what is not allowed or excluded at minus
             infinity, K = min(k, N); statistics float32[2], mean and standard deviation of all N raw scores;
             candidate_scores float32[C], raw; contributions float32[H, C], whose columns add up to candidate_scores
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.classical.training.dataset import Floats
from services.classical.training.scorers import DenseScorer, FactoredScorer, Scorer

OPSET = 17
ML_OPSET = 3
IR_VERSION = 9
PRODUCER = "marquee"
_END = np.iinfo(np.int64).max


class GraphBuilder:
    """Collects nodes and constants; a value is known by the name of the node that makes it."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant; returns its name."""
        self._constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def node(self, operator: str, name: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Adds a node; returns the name of its (first) output; a second one is called `<name>_2`."""
        names = [name, *(f"{name}_{number + 1}" for number in range(1, outputs))]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=f"make_{name}", **attributes))
        return name

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Returns the checked model."""
        graph = helper.make_graph(self._nodes, name, inputs, outputs, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
            ir_version=IR_VERSION,
            producer_name=PRODUCER,
        )
        onnx.checker.check_model(model)
        return model


def scorer_graph(scorer: Scorer) -> onnx.ModelProto:
    """Writes a fitted scorer as a history scorer."""
    if isinstance(scorer, DenseScorer):
        return dense_scorer_graph(scorer)
    return factored_scorer_graph(scorer)


def dense_scorer_graph(scorer: DenseScorer) -> onnx.ModelProto:
    """Writes an item-to-item matrix: scores are the history's rows, weighted and added up."""
    builder = GraphBuilder()
    rows, strengths = _recent_history(builder, scorer.decay, scorer.window)
    matrix = builder.constant("similarities", np.asarray(scorer.similarities, np.float32))
    similar = builder.node("Gather", "history_similarities", matrix, rows, axis=0)
    strength_row = builder.node("Unsqueeze", "strength_row", strengths, builder.constant("axis_0", [0]))
    raw = builder.node("MatMul", "raw_scores_row", strength_row, similar)
    pairs = builder.node("Gather", "pair_similarities", similar, "candidate_rows", axis=1)
    recent = builder.node("Mul", "recent_contributions", pairs, _column(builder, strengths))
    return _finish(builder, raw, recent, scorer.similarities.shape[1])


def factored_scorer_graph(scorer: FactoredScorer) -> onnx.ModelProto:
    """Writes a product of two factors: the user's vector is the weighted sum of the history's vectors."""
    builder = GraphBuilder()
    rows, strengths = _recent_history(builder, scorer.decay, scorer.window)
    history_factors = builder.constant("history_factors", np.asarray(scorer.history_factors, np.float32))
    shared = scorer.candidate_factors is scorer.history_factors
    candidate_factors = (
        history_factors
        if shared
        else builder.constant("candidate_factors", np.asarray(scorer.candidate_factors, np.float32))
    )
    vectors = builder.node("Gather", "history_vectors", history_factors, rows, axis=0)
    strong = builder.node("Mul", "weighted_vectors", vectors, _column(builder, strengths))
    user = builder.node("ReduceSum", "user_vector", strong, builder.constant("axis_0", [0]), keepdims=1)
    raw = builder.node("Gemm", "raw_scores_row", user, candidate_factors, transB=1)
    candidates = builder.node("Gather", "candidate_vectors", candidate_factors, "candidate_rows", axis=0)
    transposed = builder.node("Transpose", "candidate_columns", candidates, perm=[1, 0])
    recent = builder.node("MatMul", "recent_contributions", strong, transposed)
    return _finish(builder, raw, recent, len(scorer.candidate_factors))


def ranker_graph(means: Floats, scales: Floats, coefficients: Floats, intercept: float) -> onnx.ModelProto:
    """Writes a linear model over standardised features.

    Inputs: features float32[C, F]. Outputs: probability float32[C]; logit float32[C]; contributions float32[C, F],
    coefficient × standardised feature, rows add up to logit - intercept; weights float32[F], logit for one unit of
    each raw feature; intercept float32[1].
    """
    builder = GraphBuilder()
    centred = builder.node("Sub", "centred", "features", builder.constant("means", np.float32(means)))
    per_unit = np.asarray(coefficients, np.float32) / np.asarray(scales, np.float32)
    weights = builder.constant("weights_constant", per_unit)
    intercept_name = builder.constant("intercept_constant", np.array([intercept], np.float32))
    contributions = builder.node("Mul", "contributions", centred, weights)
    axis = builder.constant("axis_1", [1])
    total = builder.node("ReduceSum", "total", contributions, axis, keepdims=0)
    logit = builder.node("Add", "logit", total, intercept_name)
    builder.node("Sigmoid", "probability", logit)
    builder.node("Identity", "weights", weights)
    builder.node("Identity", "intercept", intercept_name)
    count = len(coefficients)
    return builder.model(
        "linear_ranker",
        [tensor("features", TensorProto.FLOAT, ["C", count])],
        [
            tensor("probability", TensorProto.FLOAT, ["C"]),
            tensor("logit", TensorProto.FLOAT, ["C"]),
            tensor("contributions", TensorProto.FLOAT, ["C", count]),
            tensor("weights", TensorProto.FLOAT, [count]),
            tensor("intercept", TensorProto.FLOAT, [1]),
        ],
    )


def _recent_history(builder: GraphBuilder, decay: float, window: int) -> tuple[str, str]:
    """The newest `window` events: names of their rows int64[R] and strengths float32[R], weight × decay."""
    start, end = builder.constant("window_start", [-window]), builder.constant("window_end", [_END])
    rows = builder.node("Slice", "recent_rows", "history_rows", start, end)
    weights = builder.node("Slice", "recent_weights", "history_weights", start, end)
    # The decays are stored oldest first, so a history shorter than the window takes their tail.
    powers = np.power(np.float32(decay), np.arange(window - 1, -1, -1, dtype=np.float32))
    decays = builder.constant("decays", powers.astype(np.float32))
    count = builder.node("Shape", "recent_count", rows)
    first = builder.node("Sub", "first_decay", builder.constant("window", [window]), count)
    tail = builder.node("Slice", "recent_decays", decays, first, builder.constant("decay_end", [_END]))
    return rows, builder.node("Mul", "strengths", weights, tail)


def _column(builder: GraphBuilder, strengths: str) -> str:
    return builder.node("Unsqueeze", "strength_column", strengths, builder.constant("axis_1", [1]))


def _finish(builder: GraphBuilder, raw: str, recent: str, count: int) -> onnx.ModelProto:
    """Adds everything that follows from the raw scores [1, N] and the recent events' contributions [R, C]."""
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

    # Events before the window add nothing: zeros above the recent events' contributions.
    history_count = builder.node("Shape", "history_count", "history_rows")
    older = builder.node("Sub", "older_count", history_count, "recent_count")
    candidate_count = builder.node("Shape", "candidate_count", "candidate_rows")
    shape = builder.node("Concat", "older_shape", older, candidate_count, axis=0)
    zero = numpy_helper.from_array(np.zeros(1, np.float32))
    nothing = builder.node("ConstantOfShape", "older_contributions", shape, value=zero)
    builder.node("Concat", "contributions", nothing, recent, axis=0)
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


def tensor(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
    """Describes an input or output: its element type (onnx.TensorProto) and shape, with names for what varies."""
    return helper.make_tensor_value_info(name, kind, shape)
