"""Pages of one list, whatever happens between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.store import Store
from services.runtime.errors import InvalidRequest, NotFound
from tests.support.bundles import ITEMS
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator, fill_catalogue, like


@pytest.fixture
async def orchestrator(store: Store, services: ModelServices) -> AsyncIterator[Orchestrator]:
    await fill_catalogue(store)
    await like(store, "ann", ITEMS[1], ITEMS[7])
    made = Orchestrator(store, services.mesh)
    await services.start()
    await made.serve("v1")
    yield made
    await made.close()


async def ask(orchestrator: Orchestrator, tenant: str = TENANT, **fields: Any) -> pb.RecommendResponse:
    defaults: dict[str, Any] = {"user_id": "ann", "page_size": 3}
    message = pb.RecommendRequest(**(defaults | fields))
    return await orchestrator.recommender.recommend(tenant, message)


def ids(answer: pb.RecommendResponse) -> list[str]:
    return [item.item_id for item in answer.items]


async def all_pages(orchestrator: Orchestrator, **fields: Any) -> list[pb.RecommendResponse]:
    pages = [await ask(orchestrator, **fields)]
    while pages[-1].next_page_token:
        pages.append(await ask(orchestrator, page_token=pages[-1].next_page_token, **fields))
    return pages


async def test_pages_cover_every_item_once_with_their_places(orchestrator: Orchestrator) -> None:
    pages = await all_pages(orchestrator)
    shown = [item for page in pages for item in page.items]
    assert sorted(item.item_id for item in shown) == sorted(set(ITEMS) - {ITEMS[1], ITEMS[7]})
    assert [item.position for item in shown] == list(range(len(ITEMS) - 2))
    assert len({page.slate_id for page in pages}) == 1
    assert all(item.reasons and item.title for item in shown)
    assert not any(page.degraded for page in pages)


async def test_pages_neither_repeat_nor_skip_while_events_arrive_and_items_go(
    orchestrator: Orchestrator, store: Store
) -> None:
    expected = [item for page in await all_pages(orchestrator) for item in ids(page)]
    first = await ask(orchestrator)
    await like(store, "ann", *expected[4:8])
    await store.delete_item(TENANT, expected[3])
    rest: list[str] = []
    places: list[int] = []
    token = first.next_page_token
    while token:
        page = await ask(orchestrator, page_token=token)
        rest += ids(page)
        places += [item.position for item in page.items]
        token = page.next_page_token
    assert ids(first) + rest == [item for item in expected if item != expected[3]]
    assert places == list(range(4, len(expected)))


async def test_pages_may_differ_in_size_and_reasons_but_in_nothing_else(orchestrator: Orchestrator) -> None:
    first = await ask(orchestrator)
    wide = await ask(orchestrator, page_token=first.next_page_token, page_size=5, reason_count=0)
    assert len(wide.items) == 5
    assert not wide.items[0].reasons
    with pytest.raises(InvalidRequest) as refused:
        await ask(orchestrator, page_token=first.next_page_token, excluded_tags=["war"])
    assert refused.value.reason == "REQUEST_CHANGED"


@pytest.mark.parametrize("change", [{"user_id": "bob"}, {"tenant": "other"}])
async def test_a_foreign_page_token_is_refused(orchestrator: Orchestrator, change: dict[str, str]) -> None:
    token = (await ask(orchestrator)).next_page_token
    with pytest.raises(InvalidRequest) as refused:
        await ask(orchestrator, page_token=token, **change)
    assert refused.value.reason == "INVALID_TOKEN"


async def test_a_list_is_gone_with_its_user(orchestrator: Orchestrator, store: Store) -> None:
    token = (await ask(orchestrator)).next_page_token
    await store.erase_user(TENANT, "ann")
    orchestrator.recommender.forget(TENANT, "ann")
    with pytest.raises(NotFound):
        await ask(orchestrator, page_token=token)


async def test_a_list_is_kept_as_it_was_shown(orchestrator: Orchestrator, store: Store) -> None:
    answer = await ask(orchestrator, surface="home")
    kept = await store.get_slate(TENANT, answer.slate_id)
    assert kept is not None
    assert (kept.user_id, kept.surface, kept.bundle_version, kept.arm) == ("ann", "home", "v1", "")
    assert list(kept.item_ids[:3]) == ids(answer)
    assert len(kept.propensities) == 4 * len(kept.item_ids)
    read = orchestrator.signer.read_attribution(
        answer.items[2].attribution_token, tenant=TENANT, user_id="ann", item_id=ids(answer)[2], now=0
    )
    assert (read.slate_id, read.position) == (answer.slate_id, 2)


class TestWithoutStore:
    async def test_a_known_user_still_gets_a_personal_list(self, orchestrator: Orchestrator, store: Store) -> None:
        before = await ask(orchestrator)
        await store.close()
        answer = await ask(orchestrator)
        assert ids(answer) == ids(before)
        assert answer.degraded
        assert not answer.next_page_token
        assert not answer.items[0].attribution_token
        lost = {step.step for step in answer.steps if step.detail and step.outcome != 1}
        assert {"history", "slate"} <= lost

    async def test_anybody_else_gets_what_is_popular(self, orchestrator: Orchestrator, store: Store) -> None:
        await ask(orchestrator)
        await store.close()
        answer = await ask(orchestrator, user_id="stranger")
        assert ids(answer)[0] == ITEMS[0]
        assert answer.degraded

    async def test_a_page_of_a_recent_list_still_comes(self, orchestrator: Orchestrator, store: Store) -> None:
        first = await ask(orchestrator)
        await store.close()
        second = await ask(orchestrator, page_token=first.next_page_token)
        assert len(second.items) == 3
        assert not set(ids(first)) & set(ids(second))

    async def test_without_anything_known_it_says_that_the_store_is_away(
        self, orchestrator: Orchestrator, store: Store
    ) -> None:
        await store.close()
        with pytest.raises(Exception, match="store is closed"):
            await ask(orchestrator)
