"""Each service of the suite is started once, with its real models, and takes all the abuse of all the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from marquee.common.v1 import model_repository_pb2, model_repository_pb2_grpc
from tests.contract.cases.candidates import BUNDLE
from tests.contract.families import Family
from tests.contract.service import Service
from tests.support.bundles import write_bundle
from tests.support.servers import running

ServiceOf = Callable[[Family], Awaitable[Service]]


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["grpc", "native"])
async def service_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceOf]:
    """Return a family's running service with the tests' bundle loaded; started when it is first asked for.

    The whole suite runs on both fronts.
    """
    bundles = tmp_path_factory.mktemp("bundles")
    write_bundle(bundles, BUNDLE)
    started: dict[str, Service] = {}
    async with AsyncExitStack() as stack:

        async def start(family: Family) -> Service:
            if family.name not in started:
                definition, settings = family.build(tmp_path_factory.mktemp(family.name), bundles)
                settings = settings.model_copy(update={"front": request.param})
                server = await stack.enter_async_context(running(definition, settings))
                stub = model_repository_pb2_grpc.ModelRepositoryServiceStub(server.channel)
                await stub.LoadBundle(model_repository_pb2.LoadBundleRequest(version=BUNDLE), timeout=30)
                started[family.name] = Service(family, server.channel)
            return started[family.name]

        yield start
