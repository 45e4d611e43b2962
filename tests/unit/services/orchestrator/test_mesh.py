"""The orchestrator's channels against real servers that fail, hang, go away and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.common.v1 import candidate_pb2, vector_pb2
from marquee.text.v1 import generation_pb2, text_service_pb2_grpc
from marquee.text.v1 import text_service_pb2 as pb
from services.orchestrator.mesh import CONTRACTS, FAMILIES, Family, Mesh, MeshError
from services.runtime.errors import FailedPrecondition
from services.runtime.health import Health
from services.runtime.request_context import RequestContext, enter_request
from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ServiceSettings
from tests.support.bundles import ITEMS, write_bundle
from tests.support.clients import failure
from tests.unit.services.orchestrator.recommend.model_services import ModelServices, Port

PATIENCE = 20.0
# Reconnecting takes at most about a second by the channel's options; gRPC's own are 20 seconds and more.
BACK_SECONDS = 5.0

Script = Callable[[int, Any], Awaitable[pb.EmbedTextResponse]]


class ScriptedText(text_service_pb2_grpc.TextServiceServicer):
    """A text service that does what a test says; the script gets the number of the attempt, from 1."""

    def __init__(self) -> None:
        self.attempts = 0
        self.request_ids: list[Any] = []
        self.script: Script = answer

    async def ClassifyText(self, request: pb.ClassifyTextRequest, context: Any) -> pb.ClassifyTextResponse:
        raise NotImplementedError

    async def UnderstandText(self, request: pb.UnderstandTextRequest, context: Any) -> pb.UnderstandTextResponse:
        raise NotImplementedError

    def GenerateText(
        self, request: generation_pb2.GenerateTextRequest, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateTextResponse]:
        raise NotImplementedError

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: Any
    ) -> pb.GenerateCandidatesResponse:
        raise NotImplementedError

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Any) -> pb.EmbedTextResponse:
        self.attempts += 1
        self.request_ids.append(dict(context.invocation_metadata()).get("x-request-id"))
        return await self.script(self.attempts, context)


async def answer(attempt: int, context: Any) -> pb.EmbedTextResponse:
    return pb.EmbedTextResponse(vectors=[vector_pb2.Vector(values=b"\0\0\0\0")])


async def hang(attempt: int, context: Any) -> pb.EmbedTextResponse:
    await asyncio.sleep(3 * PATIENCE)
    raise AssertionError("nobody waits that long")


def failing(code: grpc.StatusCode, times: int) -> Script:
    """Fail the first attempts with a code, then answer."""

    async def script(attempt: int, context: Any) -> pb.EmbedTextResponse:
        if attempt <= times:
            await context.abort(code, "as the test says")
        return await answer(attempt, context)

    return script


@pytest.fixture
def text() -> ScriptedText:
    return ScriptedText()


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
async def mesh(port: Port) -> AsyncIterator[Mesh]:
    """A mesh whose services are all the one behind `port`."""
    made = Mesh(dict.fromkeys(FAMILIES, port.address))
    yield made
    await made.close()
    port.close()


@asynccontextmanager
async def serving(text: ScriptedText, port: Port) -> AsyncIterator[ServiceServer]:
    """Run the text service for the length of a block; it is a whole server, with health and error mapping."""

    def attach(server: grpc.aio.Server) -> None:
        text_service_pb2_grpc.add_TextServiceServicer_to_server(text, server)

    async def start() -> Sequence[str]:
        return []

    async def stop() -> None:
        return None

    definition = ServiceDefinition("text", [CONTRACTS["text"]], attach, start, stop)
    server = ServiceServer(definition, ServiceSettings(port=port.number, drain_seconds=0))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def served(text: ScriptedText, port: Port) -> AsyncIterator[ScriptedText]:
    async with serving(text, port):
        yield text


async def embed(mesh: Mesh, seconds: float = PATIENCE) -> pb.EmbedTextResponse:
    return await mesh.embed_texts(["a"], seconds)


async def error_of(mesh: Mesh, seconds: float = PATIENCE) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await embed(mesh, seconds)
    return caught.value


class TestRetries:
    @pytest.mark.parametrize("times", [1, 2])
    async def test_a_call_that_finds_nobody_is_tried_again(self, mesh: Mesh, served: ScriptedText, times: int) -> None:
        served.script = failing(grpc.StatusCode.UNAVAILABLE, times)
        assert len((await embed(mesh)).vectors) == 1
        assert served.attempts == times + 1

    async def test_three_times_is_enough(self, mesh: Mesh, served: ScriptedText) -> None:
        served.script = failing(grpc.StatusCode.UNAVAILABLE, 100)
        error = await error_of(mesh)
        assert served.attempts == 3
        assert (error.code, error.down) == (grpc.StatusCode.UNAVAILABLE, True)

    @pytest.mark.parametrize(
        "code",
        [
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ],
    )
    async def test_a_refused_call_is_not_tried_again(
        self, mesh: Mesh, served: ScriptedText, code: grpc.StatusCode
    ) -> None:
        served.script = failing(code, 1)
        error = await error_of(mesh)
        assert served.attempts == 1
        assert (error.family, error.code, error.down) == ("text", code, False)

    async def test_a_sick_service_is_not_called_ever_more_often(self, mesh: Mesh, served: ScriptedText) -> None:
        served.script = failing(grpc.StatusCode.UNAVAILABLE, 10_000)
        calls = 150
        for _ in range(calls):
            await error_of(mesh)
        # The budget of a hundred failures is half used up when the retries stop.
        assert calls < served.attempts < 1.5 * calls


class TestDeadline:
    async def test_a_call_lasts_no_longer_than_it_may(self, mesh: Mesh, served: ScriptedText) -> None:
        served.script = hang
        start = time.monotonic()
        error = await error_of(mesh, 0.2)
        assert 0.15 < time.monotonic() - start < PATIENCE
        assert (error.code, error.down) == (grpc.StatusCode.DEADLINE_EXCEEDED, True)
        assert error.summary() == "the text service did not answer in time"

    async def test_no_time_at_all_is_an_error_not_a_wait(self, mesh: Mesh, served: ScriptedText) -> None:
        served.script = hang
        assert (await error_of(mesh, -1)).code is grpc.StatusCode.DEADLINE_EXCEEDED


class TestErrors:
    async def test_the_services_own_details_come_along(self, mesh: Mesh, served: ScriptedText) -> None:
        async def refuse(attempt: int, context: Any) -> pb.EmbedTextResponse:
            raise FailedPrecondition("BUNDLE_NOT_LOADED", "load it first", {"version": "v1"})

        served.script = refuse
        error = await error_of(mesh)
        assert error.details == "load it first"
        assert error.summary() == "the text service has not loaded what is needed yet"
        told = failure(error.cause)
        assert (told.reason, told.metadata) == ("BUNDLE_NOT_LOADED", {"version": "v1"})

    async def test_a_bug_of_the_service_is_a_refusal(self, mesh: Mesh, served: ScriptedText) -> None:
        async def break_down(attempt: int, context: Any) -> pb.EmbedTextResponse:
            raise ZeroDivisionError("secret")

        served.script = break_down
        error = await error_of(mesh)
        assert error.summary() == "the text service refused the call: INTERNAL"
        assert "secret" not in error.details

    async def test_nobody_listens(self, mesh: Mesh) -> None:
        error = await error_of(mesh)
        assert error.down
        assert error.summary() == "the text service is down"

    async def test_the_callers_request_id_goes_along(self, mesh: Mesh, served: ScriptedText) -> None:
        enter_request(RequestContext(request_id="from-the-caller"))
        await embed(mesh)
        assert served.request_ids == ["from-the-caller"]


async def until_it_answers(mesh: Mesh, seconds: float) -> None:
    """Call until the service answers; calls in between may find it down."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await embed(mesh, seconds)
            except MeshError:
                await asyncio.sleep(0.02)
            else:
                return


async def until_it_is_down(mesh: Mesh, seconds: float) -> MeshError:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await embed(mesh, seconds)
            except MeshError as error:
                return error
            await asyncio.sleep(0.02)


class TestComingAndGoing:
    async def test_a_service_that_restarted_is_used_again_soon(
        self, mesh: Mesh, text: ScriptedText, port: Port
    ) -> None:
        async with serving(text, port):
            await embed(mesh)
        # Long enough for some attempts to reconnect, each of which doubles the wait until the next.
        ended = time.monotonic() + 0.7
        while time.monotonic() < ended:
            assert (await error_of(mesh)).down
            await asyncio.sleep(0.05)
        async with serving(text, port):
            await until_it_answers(mesh, BACK_SECONDS)

    async def test_a_service_that_comes_late(self, mesh: Mesh, text: ScriptedText, port: Port) -> None:
        assert (await error_of(mesh)).down
        async with serving(text, port):
            await until_it_answers(mesh, BACK_SECONDS)

    async def test_a_service_that_is_not_ready_gets_no_calls(self, mesh: Mesh, text: ScriptedText, port: Port) -> None:
        health = Health([CONTRACTS["text"]])
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        text_service_pb2_grpc.add_TextServiceServicer_to_server(text, server)
        assert server.add_insecure_port(port.address) == port.number
        await server.start()
        try:
            error = await error_of(mesh)
            assert (error.code, error.summary()) == (grpc.StatusCode.UNAVAILABLE, "the text service is down")
            assert text.attempts == 0
            health.set_serving(True)
            await until_it_answers(mesh, BACK_SECONDS)
            health.drain()
            assert (await until_it_is_down(mesh, BACK_SECONDS)).code is grpc.StatusCode.UNAVAILABLE
        finally:
            await server.stop(None)


class TestCalls:
    """Every call reaches the service it is for."""

    @pytest.fixture
    async def services(self, tmp_path: Path) -> AsyncIterator[ModelServices]:
        made = ModelServices(tmp_path)
        write_bundle(made.bundles, "v1")
        await made.start()
        yield made
        await made.close()

    @pytest.mark.parametrize(
        ("family", "scorers"), [("classical", ["near", "next"]), ("text", ["words"]), ("vision", ["pictures"])]
    )
    async def test_bundles_and_candidates(self, services: ModelServices, family: Family, scorers: list[str]) -> None:
        mesh = services.mesh
        loaded = await mesh.load_bundle(family, "default", "v1", PATIENCE)
        assert (loaded.version, list(loaded.scorers), list(loaded.item_ids)) == ("v1", scorers, [])
        assert [bundle.version for bundle in await mesh.list_bundles(family, "default", PATIENCE)] == ["v1"]
        assert list((await mesh.get_bundle(family, "default", "v1", PATIENCE)).item_ids) == list(ITEMS)
        query = candidate_pb2.CandidateQuery(
            bundle_version="v1", history=[candidate_pb2.HistoryItem(item_id="item-3", weight=1)]
        )
        found = await mesh.generate_candidates(family, query, PATIENCE)
        assert [scorer.scorer for scorer in found.scorers] == scorers
        await mesh.unload_bundle(family, "default", "v1", PATIENCE)
        assert await mesh.list_bundles(family, "default", PATIENCE) == []

    async def test_ranking(self, services: ModelServices) -> None:
        await services.mesh.load_bundle("classical", "default", "v1", PATIENCE)
        request = classical_pb.RankCandidatesRequest(bundle_version="v1", item_ids=["item-3", "item-4"])
        assert len((await services.mesh.rank_candidates(request, PATIENCE)).candidates) == 2

    async def test_only_one_service_has_the_bundle(self, services: ModelServices) -> None:
        await services.mesh.load_bundle("text", "default", "v1", PATIENCE)
        with pytest.raises(MeshError) as caught:
            await services.mesh.get_bundle("vision", "default", "v1", PATIENCE)
        assert (caught.value.family, caught.value.code) == ("vision", grpc.StatusCode.NOT_FOUND)
