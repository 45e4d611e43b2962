from __future__ import annotations

import time

import pytest

from services.orchestrator.recommend.budget import Budget
from services.runtime.request_context import RequestContext, enter_request

# Moments pass between making a budget and asking it; a loaded machine may take some more.
SLACK = 0.5


def budget_with(seconds: float) -> Budget:
    return Budget(time.monotonic() + seconds)


def test_without_a_callers_deadline_the_longest_time_counts() -> None:
    left = Budget.for_current_call(10).deadline - time.monotonic()
    assert 10 - SLACK < left <= 10


async def test_the_callers_deadline_counts_where_it_is_sooner() -> None:
    enter_request(RequestContext(deadline=time.monotonic() + 5))
    assert 5 - SLACK < Budget.for_current_call(10).deadline - time.monotonic() <= 5


async def test_the_longest_time_counts_where_the_callers_deadline_is_later() -> None:
    enter_request(RequestContext(deadline=time.monotonic() + 60))
    assert 10 - SLACK < Budget.for_current_call(10).deadline - time.monotonic() <= 10


def test_a_step_gets_its_share_of_what_is_left() -> None:
    assert 50 - SLACK < budget_with(100).step(0.5, longest_seconds=80) <= 50


def test_a_step_gets_no_more_than_its_own_limit() -> None:
    assert budget_with(100).step(0.5, longest_seconds=0.25) == 0.25


def test_the_way_back_is_kept_free() -> None:
    left = budget_with(1).step(1.0, longest_seconds=10)
    assert 0.98 - SLACK < left <= 0.98


@pytest.mark.parametrize("seconds", [0.02, 0.0, -1.0, -100.0])
def test_a_step_is_always_tried(seconds: float) -> None:
    assert budget_with(seconds).step(0.8, longest_seconds=1) == 0.005
