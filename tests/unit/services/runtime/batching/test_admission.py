"""Who is let in front of busy engines, and how that follows what became of those who were."""

from __future__ import annotations

import pytest

from services.runtime.batching.admission import Admission, Admitted
from services.runtime.batching.lane import Lane, ModelIdentity
from services.runtime.errors import ServiceError
from services.runtime.request_context import Priority

NORMAL = Priority.NORMAL


@pytest.fixture
def lane() -> Lane:
    lane = Lane(ModelIdentity("model", "1"), None)
    lane.request_seconds = 0.010
    return lane


@pytest.fixture
def admission() -> Admission:
    return Admission(engines=1, maximum_requests=100, maximum_wait_seconds=1.0)


def admitted_behind(admission: Admission, lane: Lane, count: int, remaining: float | None) -> list[Admitted]:
    found = []
    for _ in range(count):
        try:
            found.append(admission.admit(lane, NORMAL, remaining))
        except ServiceError:
            break
    return found


def test_as_many_are_let_in_as_the_deadline_has_room_for(admission: Admission, lane: Lane) -> None:
    assert len(admitted_behind(admission, lane, 50, remaining=0.06)) == 5


def test_requests_that_miss_their_deadline_make_it_let_in_fewer_and_hits_more_again(
    admission: Admission, lane: Lane
) -> None:
    usual = admitted_behind(admission, lane, 50, remaining=0.06)
    for one in usual[1:]:
        admission.leave(one, missed=True)
    fewer = admitted_behind(admission, lane, 50, remaining=0.06)
    assert len(fewer) + 1 < len(usual)
    for one in fewer:
        admission.leave(one, missed=False)
    for _ in range(2_000):
        admission.leave(admission.admit(lane, NORMAL, None), missed=False)
    assert len(admitted_behind(admission, lane, 50, remaining=0.06)) + 1 == len(usual)


def test_a_deadline_that_nobody_could_meet_says_nothing_about_the_load(admission: Admission, lane: Lane) -> None:
    for _ in range(50):
        admission.leave(admission.admit(lane, NORMAL, 0.000_1), missed=True)
    assert len(admitted_behind(admission, lane, 50, remaining=0.06)) == 5
