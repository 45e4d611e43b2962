"""Home pages over a real store and real model services."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.recommend.home_page import HomePages
from services.orchestrator.store import Store
from services.runtime.errors import InvalidRequest
from tests.unit.services.orchestrator.builders import event
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator, fill_catalogue, like


@pytest.fixture
async def orchestrator(store: Store, services: ModelServices) -> AsyncIterator[Orchestrator]:
    await fill_catalogue(store)
    made = Orchestrator(store, services.mesh)
    await services.start()
    await made.serve("v1")
    yield made
    await made.close()


@pytest.fixture
def pages(orchestrator: Orchestrator) -> HomePages:
    return HomePages(orchestrator.recommender, orchestrator.similar)


async def home(pages: HomePages, row_size: int = 3, row_count: int = 20, **fields: object) -> pb.GetHomePageResponse:
    wishes = pb.RecommendRequest(user_id="ann", page_size=row_size, **fields)  # type: ignore[arg-type]
    return await pages.home_page(TENANT, pb.GetHomePageRequest(list=wishes, row_count=row_count))


async def play(store: Store, item_id: str, watched: float, at: int) -> None:
    played = event(
        f"play-{item_id}-{at}",
        user_id="ann",
        item_id=item_id,
        kind=event_pb.EVENT_KIND_PLAY,
        weight=watched,
        watched_fraction=watched,
        event_time=at,
    )
    await store.write_events(TENANT, [played])


async def test_no_item_stands_in_two_rows(pages: HomePages, store: Store) -> None:
    await like(store, "ann", "item-1", "item-7")
    page = await home(pages)
    shown = [item.item_id for row in page.rows for item in row.items]
    assert len(shown) == len(set(shown))
    assert not {"item-1", "item-7"} & set(shown)
    kinds = [row.kind for row in page.rows]
    assert kinds[0] == pb.HOME_ROW_KIND_FOR_YOU
    assert pb.HOME_ROW_KIND_BECAUSE in kinds
    assert not page.degraded


async def test_rows_say_what_they_go_back_to(pages: HomePages, store: Store) -> None:
    await like(store, "ann", "item-1", "item-7")
    page = await home(pages)
    row = next(row for row in page.rows if row.kind == pb.HOME_ROW_KIND_BECAUSE)
    assert (row.item_id, row.title) == ("item-7", "Because of Title item-7")
    assert row.items[0].reasons[0].item_id == "item-7"


async def test_what_was_begun_comes_first(pages: HomePages, store: Store) -> None:
    await play(store, "item-4", 0.4, at=20_000)
    await play(store, "item-5", 0.99, at=20_001)
    await play(store, "item-6", 0.01, at=20_002)
    await play(store, "item-9", 0.5, at=20_003)
    first = (await home(pages)).rows[0]
    assert first.kind == pb.HOME_ROW_KIND_CONTINUE
    assert [item.item_id for item in first.items] == ["item-9", "item-4"]
    begun = await pages.continue_watching(TENANT, pb.ContinueWatchingRequest(user_id="ann", page_size=1))
    assert [(item.item_id, round(item.watched_fraction, 2)) for item in begun.items] == [("item-9", 0.5)]


async def test_the_end_of_an_item_takes_it_out(pages: HomePages, store: Store) -> None:
    await play(store, "item-4", 0.4, at=20_000)
    await play(store, "item-4", 0.97, at=20_001)
    assert not (await pages.continue_watching(TENANT, pb.ContinueWatchingRequest(user_id="ann"))).items


async def test_someone_new_gets_a_page(pages: HomePages) -> None:
    page = await home(pages)
    assert [row.kind for row in page.rows] == [pb.HOME_ROW_KIND_FOR_YOU]


async def test_positions_count_through_and_events_are_attributed(
    pages: HomePages, orchestrator: Orchestrator, store: Store
) -> None:
    await like(store, "ann", "item-1", "item-7")
    page = await home(pages)
    items = [item for row in page.rows for item in row.items]
    assert [item.position for item in items] == list(range(len(items)))
    slate = await store.get_slate(TENANT, page.slate_id)
    assert slate is not None
    assert list(slate.item_ids) == [item.item_id for item in items]
    assert all(item.attribution_token for item in items)


async def test_filters_hold_in_every_row(pages: HomePages, store: Store) -> None:
    await like(store, "ann", "item-1", "item-7")
    page = await home(pages, excluded_tags=["war"])
    assert not [item for row in page.rows for item in row.items if "war" in item.tags]


async def test_fewer_rows_on_demand(pages: HomePages, store: Store) -> None:
    await like(store, "ann", "item-1", "item-7")
    assert len((await home(pages, row_count=1)).rows) == 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GetHomePageRequest(list=pb.RecommendRequest(user_id="ann", page_token="x")), "list.page_token"),
        (pb.GetHomePageRequest(list=pb.RecommendRequest(user_id="ann", include_seen=True)), "list.include_seen"),
        (pb.GetHomePageRequest(list=pb.RecommendRequest(user_id="ann"), row_count=-1), "row_count"),
        (pb.GetHomePageRequest(), "list.user_id"),
        (pb.GetHomePageRequest(list=pb.RecommendRequest(user_id="ann", diversity=2)), "list.diversity"),
    ],
)
async def test_bad_requests_are_refused_by_name(pages: HomePages, request_: pb.GetHomePageRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await pages.home_page(TENANT, request_)
    assert caught.value.violations[0].field == field
