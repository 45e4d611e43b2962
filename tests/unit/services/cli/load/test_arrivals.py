from __future__ import annotations

from random import Random

import numpy
import pytest

from services.cli.load.arrivals import arrival_times
from services.cli.load.plan import Segment


def gaps_of(*segments: Segment) -> numpy.ndarray:
    times = sorted(time for one in segments for time in arrival_times(one, Random(one.seed)))
    return numpy.diff(numpy.array(times)) / 1e9


def test_poisson_gaps_are_exponential() -> None:
    gaps = gaps_of(Segment(0, 2, 98, rate=200, seed=3))
    assert len(gaps) == pytest.approx(20_000, rel=0.03)
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    for times in (0.5, 1, 2, 3):  # P(gap > t) = exp(-rate t)
        assert (gaps > times / 200).mean() == pytest.approx(numpy.exp(-times), abs=0.015)
    assert abs(numpy.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03  # no gap knows the one before


def test_poisson_arrivals_of_several_processes_make_one_poisson_stream() -> None:
    gaps = gaps_of(*(Segment(0, 0, 100, rate=50, seed=seed) for seed in range(4)))
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_uniform_arrivals_of_several_processes_take_turns() -> None:
    parts = [Segment(0, 0, 10, rate=50, arrivals="uniform", phase_seconds=place / 100) for place in range(2)]
    gaps = gaps_of(*parts)
    assert len(gaps) == 999
    assert gaps.min() == pytest.approx(0.01, abs=1e-6)
    assert gaps.max() == pytest.approx(0.01, abs=1e-6)
