"""The ONNX graph of a scorer that knows few neighbours of each item."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from services.classical.training.scorers import SparseScorer
from services.runtime.training.graph_builder import GraphBuilder
from services.runtime.training.history_scorer import column, finish_history_scorer, recent_history


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


def _filled(value: np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([value]))
