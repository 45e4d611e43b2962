from __future__ import annotations

import math

import pytest

from services.orchestrator.recommend.sources.popularity import POPULARITY, popularity
from services.orchestrator.recommend.steps import StepLog
from tests.unit.services.orchestrator.recommend.catalogue import snapshot_of, source_input

WEIGHTS = {"b": 2.0, "d": 9.0, "e": 2.0}


def test_best_first_and_ties_in_the_order_of_the_ids() -> None:
    found = popularity(source_input(snapshot_of(*"abcde", popularity=WEIGHTS)), StepLog())
    assert list(found.by_source) == [POPULARITY]
    assert list(found.by_source[POPULARITY]) == ["d", "b", "e", "a", "c"]
    assert found.by_source[POPULARITY]["d"] == pytest.approx(math.log(10))
    assert found.by_source[POPULARITY]["a"] == 0


def test_what_is_not_allowed_takes_no_place() -> None:
    request = source_input(snapshot_of(*"abcde", popularity=WEIGHTS), hidden=("d", "a"), count=2)
    assert list(popularity(request, StepLog()).by_source[POPULARITY]) == ["b", "e"]


@pytest.mark.parametrize("hidden", ["", "abc"])
def test_it_may_find_nothing(hidden: str) -> None:
    snapshot = snapshot_of(*hidden)
    assert popularity(source_input(snapshot, hidden=hidden), StepLog()).item_ids() == []
