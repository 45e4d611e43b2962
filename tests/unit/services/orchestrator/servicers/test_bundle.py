"""BundleService over gRPC, with three real model services: the pointer moves only when all of them are ready."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_OK
from marquee.entertainment.v1 import bundle_service_pb2 as pb
from marquee.entertainment.v1.bundle_service_pb2_grpc import BundleServiceStub
from services.orchestrator.mesh import FAMILIES, Family
from services.orchestrator.store import Store
from tests.support.bundles import ITEMS, write_bundle
from tests.support.clients import Outcome, outcome_of
from tests.support.servers import running
from tests.unit.services.orchestrator.builders import event, item
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator

if TYPE_CHECKING:  # only the stubs know the asyncio form
    from marquee.entertainment.v1.bundle_service_pb2_grpc import BundleServiceAsyncStub

GRAPHS: dict[Family, str] = {"text": "words.onnx", "vision": "pictures.onnx", "classical": "ranker.onnx"}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ModelServices]:
    """All services, with bundles v1, v2 and v3 in their folder."""
    made = ModelServices(tmp_path)
    for version in ("v1", "v2", "v3"):
        write_bundle(made.bundles, version)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def bundles(store: Store, services: ModelServices) -> AsyncIterator[BundleServiceAsyncStub]:
    orchestrator = Orchestrator(store, services.mesh)
    async with running(orchestrator.definition(), orchestrator.settings) as server:
        stub: BundleServiceAsyncStub = BundleServiceStub(server.channel)
        yield stub


async def activate(bundles: BundleServiceAsyncStub, version: str) -> Outcome:
    return await outcome_of(bundles.ActivateBundle(pb.ActivateBundleRequest(version=version)))


async def pointer(store: Store) -> tuple[str, str]:
    found = await store.bundle_pointer(TENANT)
    return found.version, found.previous_version


async def test_nothing_serves_at_first(bundles: BundleServiceAsyncStub) -> None:
    assert await bundles.GetServingBundle(pb.GetServingBundleRequest()) == pb.GetServingBundleResponse()


async def test_activation_loads_everywhere_and_then_moves_the_pointer(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    answer = (await activate(bundles, "v1")).reply
    assert (answer.version, answer.previous_version) == ("v1", "")
    assert {(step.step, step.service, step.outcome) for step in answer.steps} == {
        ("load", family, STEP_OUTCOME_OK) for family in FAMILIES
    }
    assert {step.service: step.model for step in answer.steps}["classical"] == "near+next"
    for family in FAMILIES:
        assert await services.loaded(family) == {"v1"}
    assert await pointer(store) == ("v1", "")


async def test_what_serves_and_how_far_the_data_has_moved_on(bundles: BundleServiceAsyncStub, store: Store) -> None:
    await activate(bundles, "v1")
    await activate(bundles, "v2")
    await store.upsert_items(TENANT, [item("heat"), item("ran")])
    await store.write_events(TENANT, [event("1"), event("2"), event("3")])
    assert await bundles.GetServingBundle(pb.GetServingBundleRequest()) == pb.GetServingBundleResponse(
        version="v2",
        previous_version="v1",
        item_count=len(ITEMS),
        event_watermark=42,
        event_count=3,
        catalog_count=2,
    )


async def test_the_one_before_stays_loaded_and_older_ones_go(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    for version in ("v1", "v2", "v3"):
        await activate(bundles, version)
    assert await pointer(store) == ("v3", "v2")
    for family in FAMILIES:
        assert await services.loaded(family) == {"v2", "v3"}


async def test_activating_what_serves_loads_it_again_where_it_is_missing(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    await activate(bundles, "v1")
    await activate(bundles, "v2")
    await services.mesh.unload_bundle("text", TENANT, "v2", 10)
    answer = (await activate(bundles, "v2")).reply
    assert (answer.version, answer.previous_version) == ("v2", "v1")
    assert await services.loaded("text") == {"v1", "v2"}
    assert await pointer(store) == ("v2", "v1")


@pytest.mark.parametrize("family", FAMILIES)
async def test_one_service_refuses(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store, family: Family
) -> None:
    await activate(bundles, "v1")
    (services.bundles / TENANT / "v2" / GRAPHS[family]).write_bytes(b"damaged")
    ended = await activate(bundles, "v2")
    assert (ended.code, ended.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_REFUSED")
    assert ended.metadata == {"version": "v2", "services": family}
    assert GRAPHS[family] in ended.message
    assert await pointer(store) == ("v1", "")
    assert "v1" in await services.loaded(family)


async def test_a_version_that_nobody_has(bundles: BundleServiceAsyncStub, store: Store) -> None:
    ended = await activate(bundles, "v9")
    assert (ended.code, ended.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_REFUSED")
    assert ended.metadata["services"] == "text,vision,classical"
    assert await pointer(store) == ("", "")


@pytest.mark.parametrize("family", FAMILIES)
async def test_one_service_is_down(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store, family: Family
) -> None:
    await activate(bundles, "v1")
    await services.stop(family)
    ended = await activate(bundles, "v2")
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_DOWN")
    assert f"the {family} service is down" in ended.message
    assert ended.retry_seconds is not None
    assert await pointer(store) == ("v1", "")


async def test_refusing_weighs_more_than_being_down(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    await services.stop("text")
    (services.bundles / TENANT / "v1" / GRAPHS["vision"]).write_bytes(b"damaged")
    assert (await activate(bundles, "v1")).code is grpc.StatusCode.FAILED_PRECONDITION
    assert await pointer(store) == ("", "")


@pytest.mark.parametrize("version", ["", "../v1", "v/1", ".v1", "v" * 65])
async def test_a_bad_version_is_named(bundles: BundleServiceAsyncStub, version: str) -> None:
    ended = await activate(bundles, version)
    assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(ended.violations) == ["version"]


async def roll_back(bundles: BundleServiceAsyncStub) -> Outcome:
    return await outcome_of(bundles.RollbackBundle(pb.RollbackBundleRequest()))


async def test_rolling_back_swaps_the_two(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    await activate(bundles, "v1")
    await activate(bundles, "v2")
    answer = (await roll_back(bundles)).reply
    assert (answer.version, answer.previous_version) == ("v1", "v2")
    assert len(answer.steps) == len(FAMILIES)
    assert await pointer(store) == ("v1", "v2")
    assert (await bundles.GetServingBundle(pb.GetServingBundleRequest())).version == "v1"
    assert (await roll_back(bundles)).reply.version == "v2"
    assert await services.loaded("text") == {"v1", "v2"}


@pytest.mark.parametrize("activated", [(), ("v1",)])
async def test_there_is_nothing_to_roll_back_to(
    bundles: BundleServiceAsyncStub, store: Store, activated: tuple[str, ...]
) -> None:
    for version in activated:
        await activate(bundles, version)
    ended = await roll_back(bundles)
    assert (ended.code, ended.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_PREVIOUS_BUNDLE")
    assert await pointer(store) == ("".join(activated), "")


async def test_rolling_back_to_a_bundle_that_is_damaged_now(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    await activate(bundles, "v1")
    await activate(bundles, "v2")
    await services.mesh.unload_bundle("text", TENANT, "v1", 10)
    (services.bundles / TENANT / "v1" / GRAPHS["text"]).write_bytes(b"damaged")
    ended = await roll_back(bundles)
    assert (ended.code, ended.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_REFUSED")
    assert await pointer(store) == ("v2", "v1")


async def test_rolling_back_while_a_service_is_down(
    bundles: BundleServiceAsyncStub, services: ModelServices, store: Store
) -> None:
    await activate(bundles, "v1")
    await activate(bundles, "v2")
    await services.stop("vision")
    ended = await roll_back(bundles)
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_DOWN")
    assert await pointer(store) == ("v2", "v1")
