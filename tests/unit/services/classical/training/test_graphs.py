from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.classical.training.graphs import indexed_scorer_graph, ranker_graph, scorer_graph
from services.classical.training.parity import open_session
from services.classical.training.scorers import DenseScorer, FactoredScorer, SparseScorer

COUNT = 12
WINDOW = 4
DECAY = 0.5
_RANDOM = np.random.default_rng(7)
_SHARED = _RANDOM.standard_normal((COUNT, 3), np.float32)
SCORERS: dict[str, DenseScorer | FactoredScorer | SparseScorer] = {
    "dense": DenseScorer(_RANDOM.standard_normal((COUNT, COUNT), np.float32), DECAY, WINDOW),
    "factored": FactoredScorer(
        _RANDOM.standard_normal((COUNT, 3), np.float32), _RANDOM.standard_normal((COUNT, 3), np.float32), DECAY, WINDOW
    ),
    "content": FactoredScorer(_SHARED, _SHARED, DECAY, WINDOW),
    "sparse": SparseScorer(
        np.stack([_RANDOM.permutation(COUNT)[:5] for _ in range(COUNT)]).astype(np.int32),
        _RANDOM.standard_normal((COUNT, 5), np.float32),
        DECAY,
        WINDOW,
    ),
}


def similarities(scorer: DenseScorer | FactoredScorer | SparseScorer) -> NDArray[np.float64]:
    if isinstance(scorer, DenseScorer):
        return scorer.similarities.astype(np.float64)
    if isinstance(scorer, SparseScorer):
        dense = np.zeros((COUNT, COUNT))
        np.put_along_axis(dense, scorer.neighbours.astype(np.int64), scorer.strengths, axis=1)
        return dense
    return scorer.history_factors.astype(np.float64) @ scorer.candidate_factors.T.astype(np.float64)


class Graph:
    """A scorer's graph with defaults for the inputs that a test does not care about."""

    def __init__(self, scorer: DenseScorer | FactoredScorer | SparseScorer) -> None:
        self.scorer = scorer
        self._session = open_session(scorer_graph(scorer).SerializeToString())

    def expected(self, history: list[int], weights: list[float]) -> NDArray[np.float64]:
        """Contributions float64[H, N] by the contract's words."""
        steps_back = np.arange(len(history))[::-1]
        strengths = np.array(weights, np.float64) * DECAY**steps_back * (steps_back < WINDOW)
        return strengths[:, None] * similarities(self.scorer)[np.array(history, np.int64)]

    def run(
        self,
        history: list[int],
        weights: list[float],
        exclude: list[int] | None = None,
        allowed: NDArray[np.bool_] | None = None,
        k: int = COUNT,
        candidates: list[int] | None = None,
    ) -> dict[str, Any]:
        names = [output.name for output in self._session.get_outputs()]
        inputs = {
            "history_rows": np.array(history, np.int64),
            "history_weights": np.array(weights, np.float32),
            "exclude_rows": np.array(exclude or [], np.int64),
            "allowed": np.ones(COUNT, np.bool_) if allowed is None else allowed,
            "k": np.array([k], np.int64),
            "candidate_rows": np.array(candidates or [], np.int64),
        }
        return dict(zip(names, self._session.run(names, inputs), strict=True))


@pytest.fixture(scope="module", params=SCORERS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return Graph(SCORERS[request.param])


HISTORIES = [
    pytest.param([3], [1.0], id="one event"),
    pytest.param([3, 5, 3], [1.0, 0.5, 1.0], id="repeats"),
    pytest.param([0, 1, 2, 3], [1.0, -1.0, 0.5, 1.0], id="as long as the window, with a dislike"),
    pytest.param([0, 1, 2, 3, 4, 5, 6], [1.0] * 7, id="longer than the window"),
]


@pytest.mark.parametrize(("history", "weights"), HISTORIES)
def test_scores_and_contributions_are_what_the_contract_says(
    graph: Graph, history: list[int], weights: list[float]
) -> None:
    candidates = [7, 0, 7, 11]
    outputs = graph.run(history, weights, candidates=candidates)
    expected = graph.expected(history, weights)
    raw = expected.sum(axis=0)
    np.testing.assert_allclose(outputs["contributions"], expected[:, candidates], atol=1e-5)
    np.testing.assert_allclose(outputs["contributions"].sum(axis=0), outputs["candidate_scores"], atol=1e-5)
    np.testing.assert_allclose(outputs["candidate_scores"], raw[candidates], atol=1e-5)
    np.testing.assert_allclose(outputs["statistics"], [raw.mean(), raw.std()], atol=1e-5)
    np.testing.assert_array_equal(outputs["top_rows"], np.argsort(-raw, kind="stable"))
    np.testing.assert_allclose(outputs["top_scores"], np.sort(raw)[::-1], atol=1e-5)


def test_no_history_scores_zero_everywhere(graph: Graph) -> None:
    outputs = graph.run([], [], candidates=[1, 2])
    np.testing.assert_array_equal(outputs["candidate_scores"], [0, 0])
    np.testing.assert_array_equal(outputs["statistics"], [0, 0])
    np.testing.assert_array_equal(outputs["top_scores"], np.zeros(COUNT))
    assert outputs["contributions"].shape == (0, 2)


def test_no_candidates_give_no_contributions(graph: Graph) -> None:
    outputs = graph.run([1, 2], [1.0, 1.0])
    assert outputs["candidate_scores"].shape == (0,)
    assert outputs["contributions"].shape == (2, 0)


def test_excluded_and_disallowed_rows_come_last_with_minus_infinity(graph: Graph) -> None:
    allowed = np.ones(COUNT, np.bool_)
    allowed[[4, 5]] = False
    outputs = graph.run([1, 2], [1.0, 1.0], exclude=[1, 2, 2, 4], allowed=allowed, candidates=[4])
    finite = np.isfinite(outputs["top_scores"])
    assert set(outputs["top_rows"][finite].tolist()) == set(range(COUNT)) - {1, 2, 4, 5}
    assert not finite[COUNT - 4 :].any()
    assert np.isfinite(outputs["candidate_scores"]).all()


def test_a_mask_changes_neither_statistics_nor_candidate_scores(graph: Graph) -> None:
    open_mask = graph.run([1, 2], [1.0, 1.0], candidates=[4])
    masked = graph.run([1, 2], [1.0, 1.0], exclude=[3], allowed=np.arange(COUNT) < 6, candidates=[4])
    np.testing.assert_array_equal(open_mask["statistics"], masked["statistics"])
    np.testing.assert_array_equal(open_mask["candidate_scores"], masked["candidate_scores"])


def test_nothing_allowed_returns_nothing_finite(graph: Graph) -> None:
    outputs = graph.run([1], [1.0], allowed=np.zeros(COUNT, np.bool_))
    assert np.isneginf(outputs["top_scores"]).all()


@pytest.mark.parametrize(("k", "expected"), [(0, 0), (-3, 0), (1, 1), (COUNT, COUNT), (10**9, COUNT)])
def test_the_number_of_rows_is_clipped(graph: Graph, k: int, expected: int) -> None:
    assert len(graph.run([1], [1.0], k=k)["top_rows"]) == expected


def test_a_content_graph_stores_its_vectors_once() -> None:
    assert len(scorer_graph(SCORERS["content"]).graph.initializer) == (
        len(scorer_graph(SCORERS["factored"]).graph.initializer) - 1
    )


def test_the_ranker_adds_its_contributions_up() -> None:
    means, scales = np.array([1, 2], np.float32), np.array([2, 4], np.float32)
    coefficients = np.array([3, -1], np.float32)
    session = open_session(ranker_graph(means, scales, coefficients, 0.25).SerializeToString())
    names = ["probability", "logit", "contributions", "weights", "intercept"]
    outputs = dict(zip(names, session.run(names, {"features": np.array([[3, 2], [1, 6]], np.float32)}), strict=True))
    np.testing.assert_allclose(outputs["contributions"], [[3, 0], [0, -1]])
    np.testing.assert_allclose(outputs["logit"], [3.25, -0.75])
    np.testing.assert_allclose(outputs["probability"], 1 / (1 + np.exp([-3.25, 0.75])), rtol=1e-6)
    np.testing.assert_allclose(outputs["weights"], [1.5, -0.25])
    np.testing.assert_allclose(outputs["intercept"], [0.25])
    assert session.run(["logit"], {"features": np.zeros((0, 2), np.float32)})[0].shape == (0,)


@pytest.mark.parametrize(("history", "weights"), [*HISTORIES, pytest.param([], [], id="nothing")])
def test_a_graph_beside_an_index_gives_what_the_whole_one_gives(history: list[int], weights: list[float]) -> None:
    scorer = SCORERS["factored"]
    assert isinstance(scorer, FactoredScorer)
    candidates = [7, 0, 7, 11]
    whole = Graph(scorer).run(history, weights, candidates=candidates)
    session = open_session(indexed_scorer_graph(scorer).SerializeToString())
    inputs = {
        "history_rows": np.array(history, np.int64),
        "history_weights": np.array(weights, np.float32),
        "candidate_rows": np.array(candidates, np.int64),
    }
    outputs = dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))
    for name in ("candidate_scores", "contributions", "statistics"):
        np.testing.assert_allclose(outputs[name], whole[name], atol=1e-5)
    np.testing.assert_allclose(
        scorer.candidate_factors[candidates] @ outputs["user_vector"], whole["candidate_scores"], atol=1e-5
    )
