from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.mesh import FAMILIES, MeshError
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.store import Store
from services.orchestrator.store.records import BundlePointer, Route, RouteArm
from services.runtime.errors import Unavailable
from tests.support.bundles import ITEMS, write_bundle
from tests.unit.services.orchestrator.recommend.model_services import ModelServices

TENANT = "default"
SCORERS = {"classical": ("near", "next"), "text": ("words",), "vision": ("pictures",)}
PATIENCE = 20.0


class BreaksOnce:
    """A store whose first read of the pointer fails, as it does while another process has the file locked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls = 0

    async def bundle_tenants(self) -> list[str]:
        return await self._store.bundle_tenants()

    async def bundle_pointer(self, tenant: str) -> BundlePointer:
        self.calls += 1
        if self.calls == 1:
            raise Unavailable("STORE_BUSY", "the store is locked")
        return await self._store.bundle_pointer(tenant)

    async def list_routes(self, tenant: str) -> list[Route]:
        return await self._store.list_routes(tenant)


def keeper_of(store: Store, services: ModelServices, check_seconds: float = 0.05) -> BundleKeeper:
    return BundleKeeper(store, services.mesh, check_seconds, load_seconds=PATIENCE)


@pytest.fixture
def keeper(store: Store, services: ModelServices) -> BundleKeeper:
    """Its background task does not run."""
    return keeper_of(store, services)


@pytest.fixture
async def background(store: Store, services: ModelServices) -> AsyncIterator[BundleKeeper]:
    keeper = keeper_of(store, services)
    keeper.start()
    yield keeper
    await keeper.stop()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def test_the_catalogue_is_read_before_the_first_list(store: Store, services: ModelServices) -> None:
    await services.start()
    snapshots = CatalogSnapshots(store)
    keeper = BundleKeeper(store, services.mesh, 1, PATIENCE, snapshots)
    assert snapshots.current(TENANT) is None
    await keeper.load_everywhere(TENANT, "v1")
    assert snapshots.current(TENANT) is not None
    await snapshots.close()


async def test_a_catalogue_that_cannot_be_read_does_not_keep_a_bundle_from_serving(
    store: Store, services: ModelServices
) -> None:
    await services.start()
    await store.close()
    keeper = BundleKeeper(store, services.mesh, 1, PATIENCE, CatalogSnapshots(store))
    assert all(outcome.error is None for outcome in await keeper.load_everywhere(TENANT, "v1"))
    assert keeper.serving(TENANT, "v1") is not None


async def test_every_service_loads_it_and_its_vocabulary_is_known(
    keeper: BundleKeeper, services: ModelServices
) -> None:
    await services.start()
    assert keeper.serving(TENANT, "v1") is None
    outcomes = await keeper.load_everywhere(TENANT, "v1")
    assert {outcome.family: outcome.report.model for outcome in outcomes} == {
        "classical": "near+next",
        "text": "words",
        "vision": "pictures",
    }
    for family in FAMILIES:
        assert await services.loaded(family) == {"v1"}
    bundle = keeper.serving(TENANT, "v1")
    assert bundle is not None
    assert (bundle.version, bundle.item_ids, bundle.event_watermark) == ("v1", ITEMS, 42)
    assert bundle.scorers == SCORERS


async def test_one_service_is_enough_to_learn_the_vocabulary(keeper: BundleKeeper, services: ModelServices) -> None:
    await services.start("vision")
    outcomes = {outcome.family: outcome for outcome in await keeper.load_everywhere(TENANT, "v1")}
    assert [family for family, outcome in outcomes.items() if outcome.error] == ["text", "classical"]
    bundle = keeper.serving(TENANT, "v1")
    assert bundle is not None
    assert bundle.item_ids == ITEMS
    assert bundle.scorers == {"vision": ("pictures",)}


async def test_nobody_is_there_to_learn_from(keeper: BundleKeeper) -> None:
    assert all(outcome.error is not None for outcome in await keeper.load_everywhere(TENANT, "v1"))
    assert keeper.serving(TENANT, "v1") is None


async def test_a_service_that_comes_later_adds_its_scorers(
    keeper: BundleKeeper, services: ModelServices, store: Store
) -> None:
    await services.start("classical")
    await store.set_bundle(TENANT, "v1", expected="")
    await keeper.check()
    bundle = keeper.serving(TENANT, "v1")
    assert bundle is not None
    assert "text" not in bundle.scorers
    await services.start("text", "vision")
    await until(lambda: check_and_tell(keeper, lambda: bundle.scorers == SCORERS))


async def check_and_tell(keeper: BundleKeeper, condition: Callable[[], bool]) -> bool:
    await keeper.check()
    return condition()


async def test_without_a_serving_bundle_nothing_is_loaded(keeper: BundleKeeper, services: ModelServices) -> None:
    await services.start()
    await keeper.check()
    assert await services.loaded("classical") == set()


async def test_a_service_that_restarted_gets_the_serving_bundle(
    background: BundleKeeper, services: ModelServices, store: Store
) -> None:
    await services.start()
    await store.set_bundle(TENANT, "v1", expected="")
    await until(lambda: background.serving(TENANT, "v1") is not None)
    await services.stop("text")
    await services.start("text")
    await until(lambda: has_loaded(services, "v1"))


async def has_loaded(services: ModelServices, version: str) -> bool:
    try:
        return version in await services.loaded("text")
    except MeshError:
        return False


async def test_asking_makes_it_look_at_once(store: Store, services: ModelServices) -> None:
    await services.start("classical")
    await store.set_bundle(TENANT, "v1", expected="")
    await store.set_bundle("studio", "v9", expected="")
    write_bundle(services.bundles, "v9", "studio")
    keeper = keeper_of(store, services, check_seconds=3600)
    keeper.start()
    try:
        await until(lambda: keeper.serving(TENANT, "v1") is not None)
        # Another tenant is unknown until it is asked for.
        await until(lambda: keeper.serving("studio", "v9") is not None)
    finally:
        await keeper.stop()


async def test_bundles_that_nobody_needs_are_unloaded_everywhere(
    store: Store, keeper: BundleKeeper, services: ModelServices
) -> None:
    await services.start()
    for version in ("v2", "v3", "v4"):
        write_bundle(services.bundles, version)
    for version in ("v1", "v2", "v3", "v4"):
        await keeper.load_everywhere(TENANT, version)
    await store.set_bundle(TENANT, "v2", expected="")
    await store.set_bundle(TENANT, "v3", expected="v2")
    arms = (RouteArm("usual", "", "", 9), RouteArm("new", "", "v4", 1))
    await store.set_route(TENANT, Route("recommend", 1, arms))
    await keeper.unload_unused(TENANT)
    for family in FAMILIES:
        assert await services.loaded(family) == {"v2", "v3", "v4"}
    assert keeper.serving(TENANT, "v1") is None
    assert keeper.serving(TENANT, "v4") is not None


async def test_bundles_of_routes_are_loaded_where_they_are_missing(
    store: Store, keeper: BundleKeeper, services: ModelServices
) -> None:
    await services.start()
    write_bundle(services.bundles, "v2")
    await store.set_bundle(TENANT, "v1", expected="")
    await store.set_route(TENANT, Route("recommend", 1, (RouteArm("new", "", "v2", 1),)))
    await keeper.check()
    assert await services.loaded("classical") == {"v1", "v2"}


async def test_bundles_of_other_tenants_are_loaded_before_anybody_asks(
    store: Store, keeper: BundleKeeper, services: ModelServices
) -> None:
    """As after a restart of the orchestrator, or on a second replica."""
    write_bundle(services.bundles, "v1", "studio")
    await services.start("classical")
    await store.set_bundle("studio", "v1", expected="")
    await keeper.check()
    assert keeper.serving("studio", "v1") is not None


async def test_it_tells_where_bundles_are_missing_and_how_old_the_oldest_is(
    store: Store, keeper: BundleKeeper, services: ModelServices
) -> None:
    assert (keeper.states(), keeper.oldest()) == ({}, [])
    await services.start("classical")
    await store.set_bundle(TENANT, "v1", expected="")
    await keeper.check()
    assert keeper.states() == {("classical", "loaded"): 1, ("text", "missing"): 1, ("vision", "missing"): 1}
    assert keeper.oldest() == [datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp()]


async def test_unloading_minds_neither_other_tenants_nor_missing_services(
    keeper: BundleKeeper, services: ModelServices
) -> None:
    write_bundle(services.bundles, "v1", "studio")
    await services.start("classical")
    await keeper.load_everywhere(TENANT, "v1")
    await keeper.load_everywhere("studio", "v1")
    await keeper.unload_unused(TENANT)
    assert await services.loaded("classical") == set()
    assert keeper.serving("studio", "v1") is not None
    assert [bundle.version for bundle in await services.mesh.list_bundles("classical", "studio", 10)] == ["v1"]


async def test_it_stops_whether_or_not_it_was_started(store: Store, services: ModelServices) -> None:
    await keeper_of(store, services).stop()
    keeper = keeper_of(store, services)
    keeper.start()
    await keeper.stop()


async def test_a_store_that_cannot_be_read_does_not_end_the_watch(store: Store, services: ModelServices) -> None:
    await services.start("classical")
    await store.set_bundle(TENANT, "v1", expected="")
    breaks_once = BreaksOnce(store)
    keeper = BundleKeeper(breaks_once, services.mesh, 0.05, PATIENCE)  # type: ignore[arg-type]
    keeper.start()
    try:
        await until(lambda: keeper.serving(TENANT, "v1") is not None)
        assert breaks_once.calls > 1
    finally:
        await keeper.stop()
