"""ONNX graphs of scorers for large catalogues: few neighbours, or factors whose best items an index finds."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from services.classical.training.scorers import FactoredScorer, SparseScorer
from services.runtime.training.graph_builder import GraphBuilder, tensor
from services.runtime.training.history_scorer import column, finish_history_scorer, older_contributions, recent_history


def sparse_scorer_graph(scorer: SparseScorer) -> onnx.ModelProto:
    """Writes a table of neighbours: what each event says about its neighbours is added up where they are."""
    builder = GraphBuilder()
    count = len(scorer.neighbours)
    rows, strengths = recent_history(builder, scorer.decay, scorer.window)
    neighbours = builder.constant("neighbours", scorer.neighbours)
    similarities = builder.constant("neighbour_strengths", np.asarray(scorer.strengths, np.float32))
    near = builder.node("Gather", "near_rows", neighbours, rows, axis=0)
    own = builder.node("Gather", "near_similarities", similarities, rows, axis=0)
    said = builder.node("Mul", "said", own, column(builder, strengths))

    everywhere = builder.constant("everywhere", [-1])
    places = builder.node("Reshape", "near_places", near, everywhere)
    values = builder.node("Reshape", "near_values", said, everywhere)
    size = builder.constant("all_items", [count])
    silent = builder.node("ConstantOfShape", "silent", size, value=_filled(np.float32(0)))
    scores = builder.node("ScatterElements", "summed", silent, places, values, axis=0, reduction="add")
    raw = builder.node("Unsqueeze", "raw_scores_row", scores, builder.constant("row_axis", [0]))

    # Column of each item within the contributions; one more column takes what is said about other items.
    candidates = builder.node("Shape", "asked_count", "candidate_rows")
    rest = builder.node("Expand", "rest", candidates, size)
    zero, one = builder.constant("first_column", np.int64(0)), builder.constant("column_step", np.int64(1))
    numbers = builder.node("Range", "columns", zero, builder.node("Squeeze", "asked", candidates), one)
    column_of = builder.node("ScatterElements", "column_of", rest, "candidate_rows", numbers, axis=0)
    targets = builder.node("Gather", "said_columns", column_of, near, axis=0)
    width = builder.node("Add", "column_count", candidates, builder.constant("rest_column", [1]))
    shape = builder.node("Concat", "said_shape", "recent_count", width, axis=0)
    nothing = builder.node("ConstantOfShape", "nothing_said", shape, value=_filled(np.float32(0)))
    sums = builder.node("ScatterElements", "said_sums", nothing, targets, said, axis=1, reduction="add")
    asked = builder.node("Gather", "asked_columns", column_of, "candidate_rows", axis=0)
    recent = builder.node("Gather", "recent_contributions", sums, asked, axis=1)
    return finish_history_scorer(builder, raw, recent, count)


def indexed_scorer_graph(scorer: FactoredScorer) -> onnx.ModelProto:
    """Writes factors for an index beside them: only what the index cannot do.

    Inputs: history_rows int64[H], history_weights float32[H], candidate_rows int64[C]. Outputs: user_vector
    float32[D], what the index is asked for; statistics, candidate_scores and contributions as every history scorer,
    the statistics from the moments of the candidate factors instead of from all scores.
    """
    builder = GraphBuilder()
    rows, strengths = recent_history(builder, scorer.decay, scorer.window)
    history_factors = builder.constant("history_factors", np.asarray(scorer.history_factors, np.float32))
    shared = scorer.candidate_factors is scorer.history_factors
    candidate_factors = (
        history_factors
        if shared
        else builder.constant("candidate_factors", np.asarray(scorer.candidate_factors, np.float32))
    )
    vectors = builder.node("Gather", "history_vectors", history_factors, rows, axis=0)
    strong = builder.node("Mul", "weighted_vectors", vectors, column(builder, strengths))
    first = builder.constant("first_axis", [0])
    user = builder.node("ReduceSum", "user_row", strong, first, keepdims=1)
    builder.node("Squeeze", "user_vector", user, first)

    exact = scorer.candidate_factors.astype(np.float64)
    mean = exact.mean(axis=0)
    spread = (exact - mean).T @ (exact - mean) / len(exact)
    mean_score = builder.node("MatMul", "mean_row", user, builder.constant("mean_factors", mean.astype(np.float32)))
    turned = builder.node("MatMul", "spread_row", user, builder.constant("spread", spread.astype(np.float32)))
    squares = builder.node("Mul", "variance_terms", turned, user)
    variance = builder.node("ReduceSum", "variance", squares, builder.constant("last_axis", [1]), keepdims=0)
    positive = builder.node(
        "Max", "positive_variance", variance, builder.constant("no_variance", np.zeros(1, np.float32))
    )
    deviation = builder.node("Sqrt", "deviation", positive)
    builder.node("Concat", "statistics", mean_score, deviation, axis=0)

    candidates = builder.node("Gather", "candidate_vectors", candidate_factors, "candidate_rows", axis=0)
    transposed = builder.node("Transpose", "candidate_columns", candidates, perm=[1, 0])
    scores = builder.node("MatMul", "scores_row", user, transposed)
    builder.node("Squeeze", "candidate_scores", scores, first)
    older_contributions(builder, builder.node("MatMul", "recent_contributions", strong, transposed))
    return builder.model(
        "indexed_history_scorer",
        [
            tensor("history_rows", TensorProto.INT64, ["H"]),
            tensor("history_weights", TensorProto.FLOAT, ["H"]),
            tensor("candidate_rows", TensorProto.INT64, ["C"]),
        ],
        [
            tensor("user_vector", TensorProto.FLOAT, [exact.shape[1]]),
            tensor("statistics", TensorProto.FLOAT, [2]),
            tensor("candidate_scores", TensorProto.FLOAT, ["C"]),
            tensor("contributions", TensorProto.FLOAT, ["H", "C"]),
        ],
    )


def _filled(value: np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([value]))
