"""The catalogue and event servicers behind a real gRPC server, with the runtime's error mapping."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
import pytest_asyncio

from marquee.entertainment.v1.catalog_service_pb2_grpc import (
    CatalogServiceStub,
    add_CatalogServiceServicer_to_server,
)
from marquee.entertainment.v1.event_service_pb2_grpc import (
    EventServiceStub,
    add_EventServiceServicer_to_server,
)
from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from marquee.entertainment.v1.user_service_pb2_grpc import UserServiceStub, add_UserServiceServicer_to_server
from services.orchestrator.events.event_checks import EventChecks
from services.orchestrator.recommend.slate_tokens import TokenSigner
from services.orchestrator.servicers.catalog import CatalogServicer
from services.orchestrator.servicers.event import EventServicer
from services.orchestrator.servicers.user import UserServicer
from services.orchestrator.store import Store
from services.runtime.observability.accumulators import Counters
from services.runtime.server import ServiceDefinition
from services.runtime.settings import ServiceSettings
from tests.support.bundles import write_bundle
from tests.support.content_mesh import ContentMesh, ContentStubs, content_mesh
from tests.support.servers import running
from tests.unit.services.orchestrator.builders import StandInModels
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import Orchestrator, fill_catalogue

if TYPE_CHECKING:  # only the stubs know the asyncio form
    from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub
    from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceAsyncStub
    from marquee.entertainment.v1.user_service_pb2_grpc import UserServiceAsyncStub

NOW_SECONDS = 1_700_000_000
SIGNER = TokenSigner(["the key of the tests, long enough"])


@pytest.fixture
def models() -> StandInModels:
    return StandInModels()


@pytest.fixture
def acknowledged() -> Counters:
    """What the event servicer counts."""
    return Counters()


@pytest.fixture
async def channel(store: Store, models: StandInModels, acknowledged: Counters) -> AsyncIterator[grpc.aio.Channel]:
    def attach(server: grpc.aio.Server) -> None:
        add_CatalogServiceServicer_to_server(CatalogServicer(store, models), server)
        servicer = EventServicer(store, EventChecks(SIGNER), lambda: NOW_SECONDS * 10**9, acknowledged)
        add_EventServiceServicer_to_server(servicer, server)
        add_UserServiceServicer_to_server(UserServicer(store, lambda tenant, user_id: None), server)

    async def start() -> Sequence[str]:
        return []

    async def stop() -> None:
        return None

    definition = ServiceDefinition("orchestrator", [], attach, start, stop)
    async with running(definition, ServiceSettings(drain_seconds=0)) as server:
        yield server.channel


@pytest.fixture
def catalog(channel: grpc.aio.Channel) -> CatalogServiceAsyncStub:
    stub: CatalogServiceAsyncStub = CatalogServiceStub(channel)
    return stub


@pytest.fixture
def events(channel: grpc.aio.Channel) -> EventServiceAsyncStub:
    stub: EventServiceAsyncStub = EventServiceStub(channel)
    return stub


@pytest.fixture
def users(channel: grpc.aio.Channel) -> UserServiceAsyncStub:
    stub: UserServiceAsyncStub = UserServiceStub(channel)
    return stub


@pytest.fixture
async def recommendation(store: Store, tmp_path: Path) -> AsyncIterator[RecommendationServiceAsyncStub]:
    """The service with only the classical service behind it, on bundle v1."""
    services = ModelServices(tmp_path)
    write_bundle(services.bundles, "v1")
    await services.start("classical")
    orchestrator = Orchestrator(store, services.mesh)
    await fill_catalogue(store)
    await orchestrator.serve("v1")
    async with running(orchestrator.definition(), orchestrator.settings) as server:
        stub: RecommendationServiceAsyncStub = RecommendationServiceStub(server.channel)
        yield stub
    await services.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served_content(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ContentMesh]:
    """The services for content with the committed models, once for all tests of one session's loop."""
    async with content_mesh(tmp_path_factory.mktemp("content")) as mesh:
        yield mesh


@pytest.fixture
def stubs(served_content: ContentMesh, request: pytest.FixtureRequest) -> ContentStubs:
    """Calls of a tenant of the test's own, so that no test decides by the policy of another."""
    return ContentStubs(served_content.orchestrator, f"t{abs(hash(request.node.nodeid))}")
