from __future__ import annotations

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_OK, STEP_OUTCOME_SKIPPED
from services.orchestrator.recommend.sources.fresh import fresh
from services.orchestrator.recommend.steps import StepLog
from tests.unit.services.orchestrator.builders import vector
from tests.unit.services.orchestrator.recommend.catalogue import (
    bundle_of,
    events,
    record,
    snapshot_of,
    source_input,
)

CATALOGUE = snapshot_of(
    record("old-west", text_vector=vector(1, 0), picture_vector=vector(1, 0, model="pixels")),
    record("old-space", text_vector=vector(0, 1), picture_vector=vector(0, 1, model="pixels")),
    record("new-west", text_vector=vector(0.8, 0.6)),
    record("new-space", text_vector=vector(0.6, 0.8)),
    record("new-picture", picture_vector=vector(0, 1, model="pixels")),
    record("new-blank"),
)
BUNDLE = bundle_of("old-west", "old-space", "gone")


def test_only_what_the_bundle_does_not_know_best_fit_first() -> None:
    steps = StepLog()
    found = fresh(source_input(CATALOGUE, events("old-west"), BUNDLE), steps)
    assert [item.item_id for item in found[:2]] == ["new-west", "new-space"]
    assert {item.item_id for item in found[2:]} == {"new-picture", "new-blank"}
    assert [item.score for item in found] == pytest.approx([0.8, 0.6, 0, 0])
    assert found[0].resembles == "old-west"
    assert [(report.step, report.outcome) for report in steps.reports] == [("candidates/fresh", STEP_OUTCOME_OK)]


def test_a_picture_counts_as_much_as_a_text() -> None:
    found = fresh(source_input(CATALOGUE, events("old-space"), BUNDLE), StepLog())
    assert [(item.item_id, item.resembles) for item in found[:2]] == [
        ("new-picture", "old-space"),
        ("new-space", "old-space"),
    ]
    assert found[0].score == pytest.approx(1)


def test_newer_events_say_more() -> None:
    to_space = fresh(source_input(CATALOGUE, events("old-west", "old-space"), BUNDLE, ["new-picture"]), StepLog())
    to_west = fresh(source_input(CATALOGUE, events("old-space", "old-west"), BUNDLE, ["new-picture"]), StepLog())
    assert to_space[0].item_id == "new-space"
    assert to_west[0].item_id == "new-west"


def test_only_what_was_liked_speaks() -> None:
    history = events("old-west", **{"old-space": -1.0, "gone": 1.0})
    [best, *_] = fresh(source_input(CATALOGUE, history, BUNDLE), StepLog())
    assert (best.item_id, best.resembles) == ("new-west", "old-west")


def test_no_likeness_is_claimed_where_there_is_none() -> None:
    found = fresh(source_input(CATALOGUE, events("old-west"), BUNDLE), StepLog())
    assert {item.item_id: item.resembles for item in found} == {
        "new-west": "old-west",
        "new-space": "old-west",
        "new-picture": None,
        "new-blank": None,
    }


@pytest.mark.parametrize("history", [events(), events(**{"old-west": -1.0}), events("gone")])
def test_without_anything_liked_it_is_the_order_of_the_ids(history: list[object]) -> None:
    found = fresh(source_input(CATALOGUE, history, BUNDLE), StepLog())  # type: ignore[arg-type]
    assert [item.item_id for item in found] == ["new-blank", "new-picture", "new-space", "new-west"]
    assert {(item.score, item.resembles) for item in found} == {(0.0, None)}


def test_what_is_not_allowed_is_not_new_either() -> None:
    found = fresh(source_input(CATALOGUE, (), BUNDLE, hidden=("new-west", "new-blank"), count=1), StepLog())
    assert [item.item_id for item in found] == ["new-picture"]


@pytest.mark.parametrize(
    ("bundle", "why"),
    [(None, "no bundle is loaded"), (bundle_of(*CATALOGUE.item_ids), "no item is newer than the bundle")],
)
def test_nothing_is_new_to_compare_with(bundle: object, why: str) -> None:
    steps = StepLog()
    assert fresh(source_input(CATALOGUE, events("old-west"), bundle), steps) == []  # type: ignore[arg-type]
    assert steps.reports[0].outcome == STEP_OUTCOME_SKIPPED
    assert why in steps.reports[0].detail
