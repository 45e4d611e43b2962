"""A highlight is next to a moment that is rare in its game."""

from __future__ import annotations

import numpy as np
import pytest

from services.vision.training.events.highlights import highlights, scales, scales_as_text, scales_of_text, usual


def played(points: list[float]) -> np.ndarray:
    """Counts of seconds in which only points were won."""
    return np.array([[each, 0, 0, 0] for each in points], np.float32)


def test_the_largest_tenth_is_notable_and_its_neighbours_are_highlights() -> None:
    scale = usual(played([1.0] * 9 + [5.0] + [0.0] * 10))

    found = highlights(played([0, 1, 0, 0, 5, 0, 0, 1]), scale)

    assert found.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]


def test_a_tie_that_is_too_common_is_notable_only_when_nothing_weighs_more() -> None:
    common = usual(played([1.0] * 5 + [0.0] * 5))

    assert highlights(played([0, 0, 1, 0, 0]), common).tolist() == [0, 1, 1, 1, 0]


def test_a_game_in_which_nothing_happens_has_no_highlights() -> None:
    nothing = played([0.0] * 10)

    assert not highlights(nothing, usual(nothing)).any()


def test_scales_come_back_from_their_text() -> None:
    measured = scales(["pong", "qbert"], np.stack([played([0, 1, 2]), played([0, 25, 50])]))

    again = scales_of_text(scales_as_text(measured))

    assert again.keys() == measured.keys()
    for name, scale in measured.items():
        assert again[name].threshold == pytest.approx(scale.threshold)
        np.testing.assert_allclose(again[name].amounts, scale.amounts)
