from __future__ import annotations

import numpy as np
import pytest

from services.classical.behaviour_features import FEATURES, behaviour_features, sessions

DAY = 86_400.0


def features(times: list[float], values: list[float] | None = None, now: float = 100 * DAY) -> dict[str, float]:
    given = np.array(values if values is not None else [1.0] * len(times))
    known = sessions(np.array(times), given)
    return dict(zip(FEATURES, behaviour_features(known, now, 10 * DAY).tolist(), strict=True))


def test_events_close_together_are_one_session() -> None:
    found = sessions(np.array([3_000.0, 0.0, 600.0, 10_000.0]), np.array([1.0, 2.0, -5.0, 4.0]))
    assert found.times.tolist() == [600.0, 3_000.0, 10_000.0]
    assert found.values.tolist() == [2.0, 1.0, 4.0]


def test_nothing_gives_no_session() -> None:
    assert len(sessions(np.zeros(0), np.zeros(0)).times) == 0


def test_what_is_known_ends_at_the_moment() -> None:
    known = sessions(np.array([0.0, DAY, 2 * DAY]), np.ones(3)).until(DAY)
    assert known.times.tolist() == [0.0, DAY]


def test_times_are_measured_in_horizons() -> None:
    found = features([80 * DAY, 90 * DAY])
    assert found["recency"] == pytest.approx(np.log1p(1.0))
    assert found["tenure"] == pytest.approx(np.log1p(2.0))
    assert found["mean_gap"] == found["last_gap"] == pytest.approx(np.log1p(1.0))
    assert found["overdue"] == pytest.approx(np.log1p(1.0))
    assert found["sessions_in_last_horizon"] == 0
    assert found["only_once"] == 0


def test_another_unit_of_time_gives_the_same_features() -> None:
    times, values = np.array([1.0, 40.0, 70.0]) * DAY, np.array([1.0, 2.0, 3.0])
    slow = behaviour_features(sessions(times, values), 100 * DAY, 30 * DAY)
    fast = behaviour_features(sessions(times / 10, values), 10 * DAY, 3 * DAY)
    np.testing.assert_allclose(slow, fast, rtol=1e-5)


def test_somebody_who_came_once() -> None:
    found = features([95 * DAY], [7.0])
    assert found["only_once"] == 1
    assert found["last_value"] == pytest.approx(np.log1p(7.0))
    assert all(np.isfinite(value) for value in found.values())
