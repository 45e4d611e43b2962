"""The estimators: exact on small cases, honest in the simulator."""

from __future__ import annotations

import numpy
import pytest

from services.orchestrator.learning.off_policy import (
    LoggedChoices,
    UnusableLog,
    inverse_propensity,
    self_normalised,
)
from services.orchestrator.learning.simulator import OTHER_TEMPERATURE, World, measure_coverage


def log(rewards: list[float], propensities: list[float], targets: list[float]) -> LoggedChoices:
    return LoggedChoices(numpy.array(rewards), numpy.array(propensities), numpy.array(targets))


def test_the_same_way_of_choosing_gives_the_mean() -> None:
    same = log([1, 0, 0, 1], [0.5, 0.25, 0.1, 0.5], [0.5, 0.25, 0.1, 0.5])
    assert inverse_propensity(same).value == pytest.approx(0.5)
    assert self_normalised(same).value == pytest.approx(0.5)
    assert same.effective_count == pytest.approx(4)


def test_what_the_other_way_prefers_counts_more() -> None:
    preferred = log([1, 0], [0.5, 0.5], [0.9, 0.1])
    assert inverse_propensity(preferred).value == pytest.approx(0.9)
    assert self_normalised(preferred).value == pytest.approx(0.9)
    assert preferred.effective_count < 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], [], []), "nothing was chosen"),
        (([1.0], [0.0], [1.0]), "above 0"),
        (([1.0], [float("nan")], [1.0]), "above 0"),
        (([1.0], [0.5], [1.5]), "probabilities"),
        (([float("inf")], [0.5], [1.0]), "finite"),
        (([1.0, 1.0], [0.5], [1.0]), "equal length"),
    ],
)
def test_an_unusable_log_is_refused(given: tuple[list[float], list[float], list[float]], message: str) -> None:
    with pytest.raises(UnusableLog, match=message):
        log(*given)


def test_a_way_that_shows_nothing_of_this_cannot_be_estimated() -> None:
    with pytest.raises(UnusableLog, match="shown nothing"):
        self_normalised(log([1.0], [0.5], [0.0]))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth, found = measure_coverage(runs=200, count=400)
    assert truth == World.made_up(1).truth(OTHER_TEMPERATURE)
    for one in found:
        # 95 % of 200, with a margin of three standard errors.
        assert 0.90 <= one.held.value <= 1.0, one.name
        assert abs(one.bias) < 0.01
    assert found[1].width < found[0].width, "self-normalising takes variance away"
