"""A short form of `make quality`: one tie seed. One seed's standard error is .012, so the bound stands that much below
the floor.
"""

from __future__ import annotations

import pytest

from services.cli.movielens import fetch_movielens
from tests.quality.recommendation.mesh_run import run_seed


@pytest.mark.quality
@pytest.mark.timeout(400)
def test_one_seed_is_near_the_measured_quality() -> None:
    figures = run_seed(fetch_movielens(), seed=1, say=print)
    assert figures.ranked.users == 943
    assert figures.ranked.hit_rate > 0.193
    assert figures.ranked.ndcg > 0.105
    assert figures.default.hit_rate > 0.18
