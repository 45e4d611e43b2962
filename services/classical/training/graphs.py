"""ONNX graphs of a bundle's linear scorers and of its linear ranker."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from services.classical.training.dataset import Floats
from services.classical.training.large_graphs import sparse_scorer_graph
from services.classical.training.scorers import DenseScorer, FactoredScorer, Scorer, SparseScorer
from services.runtime.training.graph_builder import GraphBuilder, tensor
from services.runtime.training.history_scorer import column, finish_history_scorer, recent_history


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
    user = builder.node("ReduceSum", "user_vector", strong, builder.constant("axis_0", [0]), keepdims=1)
    raw = builder.node("Gemm", "raw_scores_row", user, candidate_factors, transB=1)
    candidates = builder.node("Gather", "candidate_vectors", candidate_factors, "candidate_rows", axis=0)
    transposed = builder.node("Transpose", "candidate_columns", candidates, perm=[1, 0])
    recent = builder.node("MatMul", "recent_contributions", strong, transposed)
    return finish_history_scorer(builder, raw, recent, len(scorer.candidate_factors))


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
