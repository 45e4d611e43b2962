from __future__ import annotations

import numpy as np
import pytest

from services.text.training.next_item.sequences import NO_TARGET, history_windows, training_windows
from tests.unit.services.text.training.next_item.walks import ITEM_COUNT, Histories, Walks


@pytest.mark.parametrize("length", [2, 3, 7, 8, 9, 10, 12, 13, 40])
def test_each_event_is_a_target_once_and_follows_what_came_before(length: int) -> None:
    history = [(3 * step) % ITEM_COUNT for step in range(length)]
    windows = training_windows(Walks([history]), window=8)
    found = []
    for rows, targets in zip(windows.rows, windows.targets, strict=True):
        for place in np.flatnonzero(targets != NO_TARGET).tolist():
            known = rows[1 : place + 1].tolist()
            ends = [end for end in range(max(1, place), length) if history[end - place : end] == known]
            following = [end for end in ends if history[end] == targets[place]]
            assert following
            # Where the user has as many, half a window comes before.
            assert place >= min(4, following[0])
            found.append(int(targets[place]))
    assert sorted(found) == sorted(history[1:])


def test_users_with_one_event_and_events_that_nobody_should_predict_give_no_window() -> None:
    assert training_windows(Walks([[1], [2]]), window=8).rows.shape == (0, 9)


def test_a_window_holds_the_newest_events() -> None:
    walks = Walks([list(range(12)), [5]])
    spans = Histories(np.array([0, 12, 0]), np.array([12, 13, 0]))
    rows, weights, last = history_windows(walks, spans, 4)
    assert rows.tolist() == [[20, 8, 9, 10, 11], [20, 5, 20, 20, 20], [20, 20, 20, 20, 20]]
    np.testing.assert_array_equal(weights > 0, rows != ITEM_COUNT)
    assert last.tolist() == [4, 1, 0]
