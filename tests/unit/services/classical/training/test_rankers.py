from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.classical.training.options import RankerOptions
from services.classical.training.parity import check_ranker, open_session
from services.classical.training.rankers import RANKERS, best_ranker, fit_rankers
from tests.unit.services.classical.training.test_ranker import NAMES, lists

OPTIONS = RankerOptions(families=("svm", "forest", "boosted"), trees=20, leaves=16)


@pytest.mark.parametrize("name", RANKERS)
class TestEachFamily:
    def test_it_learns_what_puts_the_next_item_first(self, name: str) -> None:
        ranker = fit_rankers(lists(300), OPTIONS, seed=1)[name]
        unseen = lists(200, seed=1)
        assert (unseen.ranks(ranker.logits(unseen.features)) == 0).mean() > 0.7

    def test_contributions_add_up_to_the_score_without_the_intercept(self, name: str) -> None:
        ranker = fit_rankers(lists(300), OPTIONS, seed=1)[name]
        features = lists(20, seed=2).features
        contributions, logits = open_session(ranker.graph().SerializeToString()).run(
            ["contributions", "logit"], {"features": features}
        )
        np.testing.assert_allclose(contributions.sum(axis=1), logits - ranker.intercept, atol=1e-4)

    def test_its_graph_answers_what_the_fitted_model_answers(self, name: str) -> None:
        ranker = fit_rankers(lists(300), OPTIONS, seed=1)[name]
        assert check_ranker(ranker.graph().SerializeToString(), ranker, lists(50, seed=3).features) < 1e-4

    def test_the_same_seed_gives_the_same_graph(self, name: str) -> None:
        graphs = {fit_rankers(lists(60), OPTIONS, seed=1)[name].graph().SerializeToString() for _ in range(2)}
        assert len(graphs) == 1

    def test_probabilities_are_calibrated(self, name: str) -> None:
        ranker = fit_rankers(lists(600), OPTIONS, seed=1)[name]
        logits = ranker.logits(lists(600, seed=4).features)
        # Each list of 10 has one next item.
        assert abs(float((1 / (1 + np.exp(-logits))).mean()) - 0.1) < 0.03


def test_a_graph_stays_small() -> None:
    options = RankerOptions(families=("forest",))
    forest = fit_rankers(lists(4_000), options, seed=1)["forest"]
    assert len(forest.graph().SerializeToString()) < 10_000_000


def test_without_lists_only_the_linear_one_is_there() -> None:
    assert list(fit_rankers(lists(0), OPTIONS, seed=1)) == ["linear"]


def ranks(first: int, users: int = 400) -> NDArray[np.float64]:
    """`first` of the users have their item on top, the others nowhere."""
    return np.where(np.arange(users) < first, 0.0, np.inf)


def test_another_ranker_serves_only_when_it_is_better_by_more_than_chance() -> None:
    assert best_ranker({"linear": ranks(100), "svm": ranks(101), "forest": ranks(99)}) == "linear"
    assert best_ranker({"linear": ranks(100), "svm": ranks(101), "forest": ranks(140)}) == "forest"
    assert best_ranker({"linear": ranks(0, users=0), "svm": ranks(0, users=0)}) == "linear"


def test_features_have_their_names() -> None:
    assert all(ranker.names == NAMES for ranker in fit_rankers(lists(60), OPTIONS, seed=1).values())
