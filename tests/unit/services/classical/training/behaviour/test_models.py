"""Behaviour models on a made-up log: each family learns what there is to learn, and its graph says the same."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from services.classical.behaviour_features import FEATURES, sessions
from services.classical.training.behaviour.logs import DAY, Log
from services.classical.training.behaviour.models import FittedModel, fit_models
from services.classical.training.behaviour.rows import (
    FIT,
    RETURN,
    TASKS,
    TEST,
    VALIDATION,
    Moment,
    Rows,
    make_rows,
    part_of,
)
from services.classical.training.behaviour.segments import SEGMENTS, fit_segments, segment_graph


def made_up_log(users: int = 1_500) -> Log:
    """Half of the users come every other day until the end, half stop after a week."""
    random = np.random.default_rng(1)
    log = {}
    for number in range(users):
        days = np.arange(0, 60 if number % 2 else 8, 2) + random.random()
        log[f"user-{number}"] = sessions((days * DAY).astype(np.float64), np.full(len(days), 1.0 + number % 2))
    return log


LOG = made_up_log()
MOMENT = Moment(40 * DAY, 10 * DAY)


@pytest.fixture(scope="module")
def parts() -> tuple[Rows, Rows, Rows]:
    return make_rows(LOG, [MOMENT], FIT), make_rows(LOG, [MOMENT], VALIDATION), make_rows(LOG, [MOMENT], TEST)


@pytest.fixture(scope="module")
def models(parts: tuple[Rows, Rows, Rows]) -> dict[str, dict[str, FittedModel]]:
    return {task: fit_models(task, parts[0], parts[1]) for task in TASKS}


def test_no_user_is_in_two_parts() -> None:
    counts = [part_of(user) for user in LOG]
    assert {FIT, VALIDATION, TEST} == set(counts)
    assert 0.5 < counts.count(FIT) / len(counts) < 0.7


@pytest.mark.parametrize("family", ["gradient", "svm", "forest"])
class TestEachFamily:
    def test_it_tells_who_comes_back(
        self, models: dict[str, dict[str, FittedModel]], parts: tuple[Rows, Rows, Rows], family: str
    ) -> None:
        said = models[RETURN][family].predict(parts[2].features)
        came = parts[2].targets[RETURN]
        assert ((said > 0.5) == (came > 0)).mean() > 0.98

    @pytest.mark.parametrize("task", TASKS[1:])
    def test_amounts_are_about_right(
        self, models: dict[str, dict[str, FittedModel]], parts: tuple[Rows, Rows, Rows], family: str, task: str
    ) -> None:
        target = parts[2].targets[task]
        said = models[task][family].predict(parts[2].features)
        assert np.abs(said - target).mean() < 0.35 * np.abs(target - target.mean()).mean()

    @pytest.mark.parametrize("task", TASKS)
    def test_its_graph_answers_the_same(
        self, models: dict[str, dict[str, FittedModel]], parts: tuple[Rows, Rows, Rows], family: str, task: str
    ) -> None:
        model, features = models[task][family], parts[2].features
        (answered,) = onnxruntime.InferenceSession(model.graph().SerializeToString()).run(None, {"features": features})
        np.testing.assert_allclose(answered, model.predict(features), rtol=2e-3, atol=2e-3)


def test_segments_have_names_and_a_graph(parts: tuple[Rows, Rows, Rows]) -> None:
    means, weights, centres, names = fit_segments(parts[0])
    assert len(names) == SEGMENTS
    graph = segment_graph(means, weights, centres)
    (places,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"features": parts[0].features})
    scaled = (parts[0].features - means) * weights
    nearest = ((scaled[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (places == nearest).mean() > 0.999
    assert parts[0].features.shape[1] == len(FEATURES)
