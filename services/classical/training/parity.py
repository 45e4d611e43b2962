"""Checks a bundle's graphs against the fitted models, on real histories, before anything is published."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.histories import Positions, whole_histories
from services.classical.training.rankers import Ranker
from services.classical.training.scorers import Scorer

LARGEST_DIFFERENCE = 1e-3
CHECKED_HISTORIES = 16

Outputs = dict[str, NDArray[Any]]


class BundleParityError(RuntimeError):
    """A graph does not answer what the fitted model answers; the bundle must not be published."""


class ScorerSession:
    """A history scorer, run by ONNX Runtime on one thread of the CPU."""

    def __init__(self, graph: bytes | str) -> None:
        self._session = open_session(graph)
        self._inputs = [given.name for given in self._session.get_inputs()]

    @property
    def finds_the_best(self) -> bool:
        """Whether the graph orders the whole catalogue itself; else an index beside it does."""
        return "allowed" in self._inputs

    def run(
        self, history: Integers, weights: Floats, exclude: Integers, k: int, candidates: Integers, item_count: int
    ) -> Outputs:
        """Runs one user of a catalogue of `item_count` items; everything that is not in `exclude` is allowed."""
        names = [output.name for output in self._session.get_outputs()]
        inputs = {
            "history_rows": history,
            "history_weights": weights,
            "exclude_rows": exclude,
            "allowed": np.ones(item_count, np.bool_),
            "k": np.array([k], np.int64),
            "candidate_rows": candidates,
        }
        taken = {name: inputs[name] for name in self._inputs}
        return dict(zip(names, self._session.run(names, taken), strict=True))


def open_session(graph: bytes | str) -> Any:
    """Opens a graph (its bytes or its path) on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def check_scorer(name: str, graph: bytes, scorer: Scorer, interactions: Interactions) -> float:
    """Compares scores, contributions, statistics and the best rows; returns the largest difference of scores.

    Differences are relative to the largest score of a history where that is above 1.

    Raises:
        BundleParityError: A difference is above `LARGEST_DIFFERENCE`.
    """
    session = ScorerSession(graph)
    everything = np.arange(interactions.item_count)
    positions = sample_histories(interactions)
    largest = 0.0
    for number, expected in enumerate(scorer.score(interactions, positions)):
        events = slice(int(positions.starts[number]), int(positions.ends[number]))
        history, weights = interactions.items[events], interactions.weights[events]
        outputs = session.run(history, weights, history, 10, everything, len(everything))
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        differences = {
            "scores": outputs["candidate_scores"] - expected,
            "contributions": outputs["contributions"].sum(axis=0) - expected,
            "statistics": outputs["statistics"] - np.array([expected.mean(), expected.std()]),
        }
        if session.finds_the_best:
            best = outputs["top_rows"][np.isfinite(outputs["top_scores"])]
            differences["best scores"] = outputs["top_scores"][: len(best)] - expected[best]
            if np.isin(best, history).any():
                raise BundleParityError(f"scorer {name}: its graph returns excluded items")
        for what, difference in differences.items():
            worst = float(np.abs(difference).max(initial=0.0)) / scale
            # Written so that a NaN fails too.
            if not worst <= LARGEST_DIFFERENCE:
                raise BundleParityError(f"scorer {name}: its graph's {what} are off by {worst:.2g}")
            largest = max(largest, worst)
    return largest


def check_ranker(graph: bytes, ranker: Ranker, features: Floats) -> float:
    """Compares logits and contributions for features float32[C, F]; returns the largest difference.

    Raises:
        BundleParityError: A difference is above `LARGEST_DIFFERENCE`.
    """
    names = ["logit", "contributions", "probability"]
    logit, contributions, probability = open_session(graph).run(names, {"features": features})
    worst = max(
        float(np.abs(logit - ranker.logits(features)).max(initial=0.0)),
        float(np.abs(contributions - ranker.contributions(features)).max(initial=0.0)),
        float(np.abs(probability - 1 / (1 + np.exp(-ranker.logits(features)))).max(initial=0.0)),
    )
    if not worst <= LARGEST_DIFFERENCE:
        raise BundleParityError(f"ranker: its graph is off by {worst:.2g}")
    return worst


def sample_histories(interactions: Interactions, count: int = CHECKED_HISTORIES) -> Positions:
    """Histories of `count` users spread over the data, and an empty one."""
    whole = whole_histories(interactions)
    chosen = np.unique(np.linspace(0, len(whole) - 1, min(count, len(whole))).astype(np.int64))
    nothing = np.zeros(1, np.int64)
    return Positions(np.append(whole.starts[chosen], nothing), np.append(whole.ends[chosen], nothing))
