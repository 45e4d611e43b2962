from __future__ import annotations

import time

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK, STEP_OUTCOME_SKIPPED
from services.orchestrator.catalog.enrichment import enrich
from services.orchestrator.store.records import DescribedPicture
from services.runtime.errors import InvalidRequest
from tests.unit.services.orchestrator.builders import StandInModels, item, picture, vector


async def test_every_item_gets_the_vector_of_its_own_text() -> None:
    models = StandInModels()
    items = [item(f"i{number}", title="t" * number) for number in range(1, 151)]
    enriched = await enrich(models, items, budget_seconds=5)
    assert [entry.text_vector for entry in enriched.items] == [vector(number) for number in range(1, 151)]
    assert models.calls == [64, 64, 22]
    text_step, picture_step = enriched.steps
    assert (text_step.step, text_step.service, text_step.outcome) == ("enrich/text", "text", STEP_OUTCOME_OK)
    assert (text_step.model, text_step.version) == ("sentences", "1")
    assert (picture_step.outcome, picture_step.service) == (STEP_OUTCOME_SKIPPED, "vision")
    assert not enriched.degraded


async def test_pictures_go_to_their_items() -> None:
    items = [item(f"i{number}", picture=picture(str(number).encode()) if number % 2 else None) for number in range(40)]
    enriched = await enrich(StandInModels(), items, budget_seconds=5)
    for number, entry in enumerate(enriched.items):
        expected = DescribedPicture((str(number),), vector(1, 2, model="pixels")) if number % 2 else None
        assert entry.picture == expected
    assert enriched.steps[1].outcome == STEP_OUTCOME_OK


async def test_a_service_that_is_down_leaves_items_without() -> None:
    models = StandInModels()
    models.text_down = models.vision_down = True
    enriched = await enrich(models, [item("a", picture=picture(b"cat")), item("b")], budget_seconds=5)
    assert enriched.degraded
    assert [entry.text_vector for entry in enriched.items] == [None, None]
    assert enriched.items[0].picture == picture(b"cat")
    assert [step.outcome for step in enriched.steps] == [STEP_OUTCOME_FALLBACK] * 2
    assert enriched.steps[0].detail == "2 of 2 stored without (UNAVAILABLE); they follow when the service answers"


async def test_one_service_down_does_not_take_the_other_with_it() -> None:
    models = StandInModels()
    models.vision_down = True
    enriched = await enrich(models, [item("a", picture=picture())], budget_seconds=5)
    assert enriched.degraded
    assert enriched.items[0].text_vector is not None
    assert [step.outcome for step in enriched.steps] == [STEP_OUTCOME_OK, STEP_OUTCOME_FALLBACK]


async def test_a_slow_service_costs_the_budget_and_no_more() -> None:
    models = StandInModels()
    models.delay_seconds = 30
    start = time.monotonic()
    enriched = await enrich(models, [item(f"i{number}") for number in range(300)], budget_seconds=0.1)
    assert time.monotonic() - start < 2
    assert enriched.degraded
    assert "no answer in time" in enriched.steps[0].detail


async def test_every_invalid_picture_is_named_by_its_item() -> None:
    items = [
        item(f"i{n}", picture=picture(b"broken") if n in (3, 31) else picture() if n % 2 else None) for n in range(40)
    ]
    with pytest.raises(InvalidRequest) as refused:
        await enrich(StandInModels(), items, budget_seconds=5)
    fields = {violation.field: violation.description for violation in refused.value.violations}
    assert fields == {"items[3].picture": "is truncated", "items[31].picture": "is truncated"}
    assert refused.value.reason == "INVALID_PICTURE"


async def test_large_pictures_share_no_call_that_would_be_too_large_for_the_vision_service() -> None:
    models = StandInModels()
    items = [item(f"i{number}", text_vector=None, picture=picture(b"x" * (6 << 20))) for number in range(5)]
    enriched = await enrich(models, items, budget_seconds=20)
    assert all(isinstance(entry.picture, DescribedPicture) for entry in enriched.items)
    assert models.calls == [5, 2, 2, 1]
