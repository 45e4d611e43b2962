from __future__ import annotations

from collections.abc import Sequence

import numpy
import pytest

from marquee.common.v1.report_pb2 import (
    STEP_OUTCOME_FALLBACK,
    STEP_OUTCOME_OK,
    STEP_OUTCOME_SKIPPED,
    StepReport,
)
from services.orchestrator.mesh import FAMILIES, Family
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.recommend.sources.bundle_scorers import propose
from services.orchestrator.recommend.sources.collaborative import collaborative
from services.orchestrator.recommend.sources.picture_content import picture_content
from services.orchestrator.recommend.sources.text_content import text_content
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.store.records import UserEvent
from tests.support.bundles import ITEMS, expected_scores
from tests.unit.services.orchestrator.builders import vector
from tests.unit.services.orchestrator.recommend.catalogue import (
    bundle_of,
    events,
    record,
    snapshot_of,
    source_input,
)
from tests.unit.services.orchestrator.recommend.model_services import ModelServices

SNAPSHOT = snapshot_of(*ITEMS)
PATIENCE = 10.0


def only_report(steps: StepLog) -> StepReport:
    [report] = steps.reports
    return report


async def test_each_scorer_is_a_source_with_standardised_scores(services: ModelServices) -> None:
    await services.start()
    await services.load("v1")
    steps = StepLog()
    request = source_input(SNAPSHOT, events("item-3", "item-5"), bundle_of(), hidden=("item-5", "item-6"), count=3)
    found = await collaborative(services.mesh, request, steps, PATIENCE)
    assert list(found.by_source) == ["near", "next"]
    for name, by_item in found.by_source.items():
        raw = expected_scores(name, [(3, 1.0), (5, 1.0)])
        standardised = (raw - raw.mean()) / raw.std()
        wanted = [row for row in numpy.argsort(-raw, kind="stable") if row not in {5, 6}][:3]
        assert list(by_item) == [f"item-{row}" for row in wanted]
        assert list(by_item.values()) == pytest.approx(standardised[wanted], abs=1e-4)
    report = only_report(steps)
    assert (report.step, report.service, report.outcome) == ("candidates/classical", "classical", STEP_OUTCOME_OK)
    assert (report.model, report.version) == ("near+next", "v1")


async def test_every_family_answers_for_its_own_scorers(services: ModelServices) -> None:
    await services.start()
    await services.load("v1")
    with_picture = snapshot_of(*ITEMS[:-1], record(ITEMS[-1], picture_vector=vector(1)))
    request = source_input(with_picture, events(ITEMS[-1]), bundle_of())
    steps = StepLog()
    words = await text_content(services.mesh, request, steps, PATIENCE)
    pictures = await picture_content(services.mesh, request, steps, PATIENCE)
    assert (list(words.by_source), list(pictures.by_source)) == (["words"], ["pictures"])
    assert [report.step for report in steps.reports] == ["candidates/text", "candidates/vision"]


async def test_deleted_items_are_not_proposed(services: ModelServices) -> None:
    await services.start("classical")
    await services.load("v1")
    request = source_input(snapshot_of("item-4", "item-9"), events("item-3"), bundle_of())
    found = await collaborative(services.mesh, request, StepLog(), PATIENCE)
    assert list(found.by_source["near"]) == ["item-4", "item-9"]


@pytest.mark.parametrize(
    ("bundle", "history", "why"),
    [
        (None, events("item-3"), "no bundle is loaded"),
        (bundle_of(), [], "the user has no history"),
        (
            ServingBundle("v1", ITEMS, 42, {"text": ()}),
            events("item-3"),
            "the bundle has no scorer for the text service",
        ),
    ],
)
async def test_it_asks_nobody_when_there_is_nothing_to_ask(
    services: ModelServices, bundle: ServingBundle | None, history: Sequence[UserEvent], why: str
) -> None:
    steps = StepLog()
    found = await text_content(services.mesh, source_input(SNAPSHOT, history, bundle), steps, PATIENCE)
    assert found.item_ids() == []
    assert (only_report(steps).outcome, only_report(steps).detail) == (STEP_OUTCOME_SKIPPED, why)


@pytest.mark.parametrize("pictured", ["", "item-7"])
async def test_pictures_are_not_asked_about_a_history_without_any(services: ModelServices, pictured: str) -> None:
    items = [record(item, picture_vector=vector(1) if item == pictured else None) for item in ITEMS]
    steps = StepLog()
    request = source_input(snapshot_of(*items), events("item-3", "gone"), bundle_of())
    assert (await picture_content(services.mesh, request, steps, PATIENCE)).item_ids() == []
    assert only_report(steps).outcome == STEP_OUTCOME_SKIPPED
    assert "picture" in only_report(steps).detail


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_service_that_has_not_loaded_the_bundle_counts_as_missing(
    services: ModelServices, family: Family
) -> None:
    await services.start(family)
    steps = StepLog()
    request = source_input(SNAPSHOT, events("item-3"), bundle_of())
    assert (await propose(services.mesh, family, request, steps, PATIENCE, "similar")).item_ids() == []
    report = only_report(steps)
    assert (report.step, report.service, report.outcome) == (f"similar/{family}", family, STEP_OUTCOME_FALLBACK)
    assert report.detail.startswith(f"the {family} service has not loaded what is needed yet; likeness is judged ")


async def test_a_service_that_is_down_counts_as_missing(services: ModelServices) -> None:
    steps = StepLog()
    request = source_input(SNAPSHOT, events("item-3"), bundle_of())
    assert (await text_content(services.mesh, request, steps, PATIENCE)).item_ids() == []
    assert only_report(steps).outcome == STEP_OUTCOME_FALLBACK
    assert only_report(steps).detail == "the text service is down; the other candidate sources fill the list"


async def test_a_history_that_says_nothing_is_no_fault(services: ModelServices) -> None:
    await services.start("classical")
    await services.load("v1")
    steps = StepLog()
    request = source_input(snapshot_of(*ITEMS, "new"), events("new"), bundle_of())
    assert (await collaborative(services.mesh, request, steps, PATIENCE)).item_ids() == []
    assert only_report(steps).outcome == STEP_OUTCOME_OK
    assert "no event of the history says anything" in only_report(steps).detail
