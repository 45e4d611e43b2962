"""RecommendationService over gRPC: what a caller sees of good and of bad calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.store import Store
from tests.support.clients import outcome_of
from tests.unit.services.orchestrator.recommend.orchestrator import like

if TYPE_CHECKING:  # only the stubs know the asyncio form
    from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceAsyncStub


async def test_a_list(recommendation: RecommendationServiceAsyncStub, store: Store) -> None:
    await like(store, "ann", "item-7")
    answer = await recommendation.Recommend(pb.RecommendRequest(user_id="ann", page_size=2, diversity=0))
    assert answer.items[0].item_id == "item-8"
    assert len(answer.items) == 2
    assert answer.items[0].reasons[0].title == "Title item-7"
    assert answer.degraded  # the text service does not run
    assert answer.bundle_version == "v1"


async def test_similar_items(recommendation: RecommendationServiceAsyncStub) -> None:
    answer = await recommendation.SimilarItems(pb.SimilarItemsRequest(item_id="item-7", page_size=1))
    assert [entry.item_id for entry in answer.items] == ["item-8"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"page_size": -1}, "page_size"),
        ({"diversity": 1.5}, "diversity"),
        ({"excluded_tags": [""]}, "excluded_tags[0]"),
    ],
)
async def test_a_bad_request_names_its_field(
    recommendation: RecommendationServiceAsyncStub, fields: dict[str, Any], field: str
) -> None:
    ended = await outcome_of(recommendation.Recommend(pb.RecommendRequest(**{"user_id": "ann", **fields})))
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(ended.violations) == [field]


async def test_all_bad_fields_are_named(recommendation: RecommendationServiceAsyncStub) -> None:
    ended = await outcome_of(recommendation.SimilarItems(pb.SimilarItemsRequest(page_size=-1)))
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(ended.violations) == {"item_id", "page_size"}


async def test_an_unknown_item(recommendation: RecommendationServiceAsyncStub) -> None:
    ended = await outcome_of(recommendation.SimilarItems(pb.SimilarItemsRequest(item_id="nowhere")))
    assert (ended.code, ended.reason) == (grpc.StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
    assert ended.resource == ("item", "nowhere")


async def test_an_unknown_user_when_that_matters(recommendation: RecommendationServiceAsyncStub) -> None:
    request = pb.RecommendRequest(user_id="nobody", require_known_user=True)
    ended = await outcome_of(recommendation.Recommend(request))
    assert (ended.code, ended.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    assert ended.resource == ("user", "nobody")


async def test_a_store_that_is_closed(recommendation: RecommendationServiceAsyncStub, store: Store) -> None:
    await store.close()
    ended = await outcome_of(recommendation.Recommend(pb.RecommendRequest(user_id="ann")))
    assert ended.code is grpc.StatusCode.UNAVAILABLE
    assert ended.retry_seconds is not None
