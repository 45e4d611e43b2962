"""The pipeline without a mesh: what it does when parts of it are away or late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import search_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.reading import Reader
from services.orchestrator.search.index import LexicalIndex
from services.orchestrator.search.indexes import SearchIndexes
from services.orchestrator.search.pages import SearchPages
from services.orchestrator.search.searcher import Searcher
from services.orchestrator.search.word_vectors import WordVectors
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from tests.support.content_mesh import NOWHERE
from tests.unit.services.orchestrator.builders import event, item

TENANT = "default"


class SlowIndexes(SearchIndexes):
    """Indexes that are never ready in time."""

    async def get(self, tenant: str, snapshot: CatalogSnapshot) -> LexicalIndex:
        await asyncio.sleep(30)
        return await super().get(tenant, snapshot)


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    mesh = Mesh({"text": NOWHERE, "vision": NOWHERE, "classical": NOWHERE})
    yield mesh
    await mesh.close()


def searcher_of(store: Store, mesh: Mesh, indexes: SearchIndexes | None = None, **settings: Any) -> Searcher:
    options = OrchestratorSettings(port=0, **({"recommend_deadline_seconds": 20, "history_seconds": 20} | settings))
    snapshots = CatalogSnapshots(store)
    bundles = BundleKeeper(store, mesh, check_seconds=3600, load_seconds=1)
    pages = SearchPages(["k" * 32], 3600)
    reader, indexes = Reader(store, snapshots, options), indexes or SearchIndexes()
    return Searcher(reader, mesh, bundles, indexes, WordVectors(mesh), pages, options)


async def fill(store: Store) -> None:
    await store.upsert_items(TENANT, [item("heat", title="Heat"), item("matrix", title="The Matrix")])
    await store.write_events(TENANT, [event("e1", user_id="ann", item_id="heat")])


async def test_without_the_store_the_last_known_catalogue_is_searched(store: Store, mesh: Mesh) -> None:
    await fill(store)
    searcher = searcher_of(store, mesh)
    assert not (await searcher.search(TENANT, pb.SearchRequest(query="matrix"))).degraded
    await store.close()
    answer = await searcher.search(TENANT, pb.SearchRequest(query="matrxi"))
    assert [found.item_id for found in answer.items] == ["matrix"]
    assert answer.degraded
    assert {step.step for step in answer.steps if step.outcome == STEP_OUTCOME_FALLBACK} == {"history"}
    suggested = await searcher.suggest(TENANT, pb.SuggestRequest(query="the mat"))
    assert [found.item_id for found in suggested.items] == ["matrix"]
    assert suggested.degraded


async def test_a_catalogue_that_is_still_being_indexed_is_said_to_be(store: Store, mesh: Mesh) -> None:
    await fill(store)
    searcher = searcher_of(store, mesh, SlowIndexes(), recommend_deadline_seconds=0.3)
    answer = await searcher.search(TENANT, pb.SearchRequest(query="matrix"))
    assert answer.degraded
    assert not answer.items
    assert "still being indexed" in answer.reason
    (late,) = [step for step in answer.steps if step.step == "search/lexical"]
    assert late.outcome == STEP_OUTCOME_FALLBACK
    assert "still being indexed" in late.detail


async def test_indexes_are_kept_for_the_tenants_that_search(store: Store) -> None:
    indexes, snapshots = SearchIndexes(maximum_tenants=2), CatalogSnapshots(store)
    for tenant in ("one", "two", "three"):
        await store.upsert_items(tenant, [item("a", title=f"Film of {tenant}")])
        state = await store.catalog_state(tenant)
        index = await indexes.get(tenant, await snapshots.get(tenant, state.sequence))
        assert index.frequency(tenant) == 1
    assert list(indexes._held) == ["two", "three"]
    await indexes.close()
    await snapshots.close()


async def test_the_first_search_need_not_wait(store: Store) -> None:
    await fill(store)
    await store.set_bundle(TENANT, "v1", expected="")
    snapshots, indexes = CatalogSnapshots(store), SearchIndexes()
    indexes.warm(store, snapshots)
    assert indexes._warming is not None
    await indexes._warming
    assert list(indexes._held) == [TENANT]
    await indexes.close()
    await snapshots.close()
