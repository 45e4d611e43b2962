"""ONNX graphs of a bundle's linear scorers and of its linear ranker."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from services.classical.training.dataset import Floats
from services.classical.training.scorers import DenseScorer, FactoredScorer, Scorer, SparseScorer
from services.classical.training.sparse_graph import sparse_scorer_graph
from services.runtime.training.graph_builder import GraphBuilder, tensor
from services.runtime.training.history_scorer import (
    column,
    finish_history_scorer,
    older_contributions,
    recent_history,
)


def scorer_graph(scorer: Scorer) -> onnx.ModelProto:
    """Writes a fitted scorer as a history scorer."""
    if isinstance(scorer, DenseScorer):
        return dense_scorer_graph(scorer)
    if isinstance(scorer, SparseScorer):
        return sparse_scorer_graph(scorer)
    if isinstance(scorer, FactoredScorer):
        return factored_scorer_graph(scorer)
    return scorer.graph()


def dense_scorer_graph(scorer: DenseScorer) -> onnx.ModelProto:
    """Writes an item-to-item matrix: scores are the history's rows, weighted and added up."""
    builder = GraphBuilder()
    rows, strengths = recent_history(builder, scorer.decay, scorer.window)
    matrix = builder.constant("similarities", np.asarray(scorer.similarities, np.float32))
    similar = builder.node("Gather", "history_similarities", matrix, rows, axis=0)
    strength_row = builder.node("Unsqueeze", "strength_row", strengths, builder.constant("axis_0", [0]))
    raw = builder.node("MatMul", "raw_scores_row", strength_row, similar)
    pairs = builder.node("Gather", "pair_similarities", similar, "candidate_rows", axis=1)
    recent = builder.node("Mul", "recent_contributions", pairs, column(builder, strengths))
    return finish_history_scorer(builder, raw, recent, scorer.similarities.shape[1])


def factored_scorer_graph(scorer: FactoredScorer) -> onnx.ModelProto:
    """Writes a product of two factors: the user's vector is the weighted sum of the history's vectors."""
    builder = GraphBuilder()
    strong, user, candidate_factors = _fold_in(builder, scorer)
    raw = builder.node("Gemm", "raw_scores_row", user, candidate_factors, transB=1)
    candidates = builder.node("Gather", "candidate_vectors", candidate_factors, "candidate_rows", axis=0)
    transposed = builder.node("Transpose", "candidate_columns", candidates, perm=[1, 0])
    recent = builder.node("MatMul", "recent_contributions", strong, transposed)
    return finish_history_scorer(builder, raw, recent, len(scorer.candidate_factors))


def indexed_scorer_graph(scorer: FactoredScorer) -> onnx.ModelProto:
    """Writes factors for an index beside them: only what the index cannot do.

    Inputs: history_rows int64[H], history_weights float32[H], candidate_rows int64[C]. Outputs: user_vector
    float32[D], what the index is asked for; statistics, candidate_scores and contributions as every history scorer,
    the statistics from the moments of the candidate factors instead of from all scores.
    """
    builder = GraphBuilder()
    strong, user, candidate_factors = _fold_in(builder, scorer)
    first = builder.constant("first_axis", [0])
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


def _fold_in(builder: GraphBuilder, scorer: FactoredScorer) -> tuple[str, str, str]:
    """Names of the recent events' weighted vectors [R, D], of the user, their sum [1, D], and of the candidate factors
    [N, D].
    """
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
    user = builder.node("ReduceSum", "user_row", strong, builder.constant("axis_0", [0]), keepdims=1)
    return strong, user, candidate_factors


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
