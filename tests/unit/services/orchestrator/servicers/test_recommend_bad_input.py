"""What callers get wrong: a clear error that names the field, or a result that says what it means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import CategoryCap, Taste
from services.orchestrator.store import Store
from tests.support.clients import outcome_of
from tests.unit.services.orchestrator.builders import event
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, like

if TYPE_CHECKING:  # only the stubs know the asyncio form
    from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceAsyncStub


@pytest.fixture(autouse=True)
async def ann_likes_item_7(store: Store, recommendation: RecommendationServiceAsyncStub) -> None:
    await like(store, "ann", "item-7")


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"filter": "release_year >\n  'x' +"}, "filter", "line 2"),
        ({"filter": "nothing_like_it == 1"}, "filter", "nothing_like_it"),
        ({"diversity": math.nan}, "diversity", "range is 0 to 1"),
        ({"source_weights": {"near": math.nan}}, "source_weights[near]", "range is 0 to 10"),
        ({"tastes": [Taste(tag="space", weight=math.inf)]}, "tastes[0].weight", "range is -1 to 1"),
        ({"category_caps": [CategoryCap(tag="space", maximum=-1)]}, "category_caps[0].maximum", ""),
        (
            {"slots": [pb.Slot(position=0, item_id="item-1"), pb.Slot(position=0, item_id="item-2")]},
            "slots[1].position",
            "",
        ),
        ({"page_token": "bm90IG91cnM"}, "page_token", ""),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_place(
    recommendation: RecommendationServiceAsyncStub, fields: dict[str, Any], field: str, said: str
) -> None:
    ended = await outcome_of(recommendation.Recommend(pb.RecommendRequest(user_id="ann", **fields)))
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(ended.violations) == [field]
    assert said in str(ended.violations[field])


async def test_a_page_token_of_somebody_else_is_refused(recommendation: RecommendationServiceAsyncStub) -> None:
    first = await recommendation.Recommend(pb.RecommendRequest(user_id="ann", page_size=2))
    request = pb.RecommendRequest(user_id="ben", page_size=2, page_token=first.next_page_token)
    ended = await outcome_of(recommendation.Recommend(request))
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(ended.violations) == ["page_token"]


@pytest.mark.parametrize("fields", [{"filter": "release_year > 9999"}, {"required_tags": ["no such genre"]}])
async def test_a_filter_that_nothing_passes_gives_an_empty_list_that_says_so(
    recommendation: RecommendationServiceAsyncStub, fields: dict[str, Any]
) -> None:
    answer = await recommendation.Recommend(pb.RecommendRequest(user_id="ann", **fields))
    assert not answer.items
    (step,) = [step for step in answer.steps if step.step == "filter"]
    assert step.detail


async def test_an_unknown_genre_among_the_tastes_harms_nothing(recommendation: RecommendationServiceAsyncStub) -> None:
    plain = await recommendation.Recommend(pb.RecommendRequest(user_id="ann"))
    request = pb.RecommendRequest(user_id="ann", tastes=[Taste(tag="no such genre", weight=1)])
    answer = await recommendation.Recommend(request)
    assert [item.item_id for item in answer.items] == [item.item_id for item in plain.items]


async def test_a_user_with_50_000_events_gets_a_list_from_the_newest(
    recommendation: RecommendationServiceAsyncStub, store: Store
) -> None:
    for start in range(0, 50_000, 5_000):
        await store.write_events(
            TENANT,
            [
                event(f"e{number}", user_id="many", item_id=f"item-{number % 11}", event_time=number)
                for number in range(start, start + 5_000)
            ],
        )
    answer = await recommendation.Recommend(pb.RecommendRequest(user_id="many", include_seen=True))
    assert answer.items
    assert 0 < answer.history_count <= 1_000
    unseen = await recommendation.Recommend(pb.RecommendRequest(user_id="many"))
    assert [item.item_id for item in unseen.items] == ["item-11"]
