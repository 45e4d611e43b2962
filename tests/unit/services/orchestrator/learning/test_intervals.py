from __future__ import annotations

import pytest

from services.orchestrator.learning.intervals import difference, mean, share


def test_wilson_s_interval() -> None:
    # Newcombe 1998, table I: 81 of 263.
    found = share(81, 263)
    assert found.low == pytest.approx(0.2553, abs=5e-5)
    assert found.high == pytest.approx(0.3662, abs=5e-5)
    assert share(0, 20).low == 0.0
    assert share(0, 0) == (0.0, 0.0, 1.0, 0)


def test_newcombe_s_difference() -> None:
    # Newcombe 1998, table II: 56 of 70 against 48 of 80.
    found = difference(share(56, 70), share(48, 80))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_a_mean() -> None:
    found = mean([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(1.96 / 3**0.5, abs=1e-3)
    assert mean([]).observations == 0
