from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.errors import FieldViolation, InvalidRequest, NotFound, Unavailable
from services.runtime.logs import add_request_id
from services.runtime.request_context import current_request
from tests.support.clients import REQUEST_ID, Outcome, call_bytes, failure, health, outcome_of
from tests.support.dummy_model import write_model
from tests.support.dummy_service import EMBED, SCRIPTED, STREAM, DummyService, DummyServicer

GOOD = pb.EmbedTextRequest(texts=["alien war"])
REQUEST = pb.ClassifyTextRequest(texts=["x"])
SECRET = "password of /etc/shadow"


@dataclass
class Caller:
    """A running dummy service and its caller."""

    servicer: DummyServicer
    channel: grpc.aio.Channel

    @property
    def stub(self) -> text_service_pb2_grpc.TextServiceAsyncStub:
        return text_service_pb2_grpc.TextServiceStub(self.channel)

    async def scripted(self, seconds: float | None = 10, request_id: str | None = None) -> Outcome:
        metadata = None if request_id is None else ((REQUEST_ID, request_id),)
        return await outcome_of(self.stub.ClassifyText(REQUEST, timeout=seconds, metadata=metadata))

    async def stream(self, seconds: float | None = 10) -> tuple[int, Outcome]:
        """Return how many responses came before the end, and the end."""
        method: grpc.aio.UnaryStreamMultiCallable[pb.ClassifyTextRequest, bytes] = self.channel.unary_stream(
            STREAM, request_serializer=pb.ClassifyTextRequest.SerializeToString
        )
        count = 0
        try:
            async for _ in method(REQUEST, timeout=seconds):
                count += 1
        except grpc.aio.AioRpcError as error:
            return count, failure(error)
        return count, Outcome(grpc.StatusCode.OK, "")

    async def alive(self) -> bool:
        answered = await outcome_of(self.stub.EmbedText(GOOD, timeout=10))
        return answered.code is grpc.StatusCode.OK and await health(self.channel) == "SERVING"


@pytest.fixture
def dummy(models: Path) -> DummyService:
    write_model(models)
    return DummyService(models)


@pytest.fixture
async def caller(dummy: DummyService) -> AsyncIterator[Caller]:
    async with dummy.running() as server:
        yield Caller(dummy.servicer, server.channel)


async def forever(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
    await asyncio.Event().wait()
    raise AssertionError("never reached")


class TestRequestId:
    async def test_the_callers_id_is_echoed_and_known_below(self, caller: Caller) -> None:
        seen = []

        async def look(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            seen.append(current_request().request_id)
            return pb.ClassifyTextResponse()

        caller.servicer.script = look
        assert (await caller.scripted(request_id="order-4711")).request_id == "order-4711"
        assert seen == ["order-4711"]

    async def test_it_is_echoed_on_errors_too(self, caller: Caller) -> None:
        async def refuse(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            raise Unavailable("BUSY", "later")

        caller.servicer.script = refuse
        assert (await caller.scripted(request_id="order-4711")).request_id == "order-4711"

    async def test_a_call_without_one_gets_one(self, caller: Caller) -> None:
        first, second = await caller.scripted(), await caller.scripted()
        assert len(first.request_id) == len(second.request_id) == 32
        assert first.request_id != second.request_id

    @pytest.mark.parametrize("garbage", ["", "x" * 129, "x" * 4_000])
    async def test_garbage_is_replaced(self, caller: Caller, garbage: str) -> None:
        answered = await caller.scripted(request_id=garbage)
        assert answered.code is grpc.StatusCode.OK
        assert len(answered.request_id) == 32

    async def test_concurrent_calls_do_not_mix_theirs(self, caller: Caller) -> None:
        everybody = asyncio.Barrier(5)
        seen = set()

        async def look(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            await everybody.wait()
            seen.add(current_request().request_id)
            return pb.ClassifyTextResponse()

        caller.servicer.script = look
        ids = [f"call-{number}" for number in range(5)]
        answered = await asyncio.gather(*(caller.scripted(request_id=name) for name in ids))
        assert [one.request_id for one in answered] == ids
        assert seen == set(ids)

    async def test_log_lines_of_a_call_carry_it(self, caller: Caller) -> None:
        with capture_logs(processors=[add_request_id]) as lines:
            await caller.scripted(request_id="order-4711")
        (line,) = [line for line in lines if line["event"] == "call"]
        assert (line["request_id"], line["code"], line["method"]) == ("order-4711", "OK", SCRIPTED)


class TestDeadline:
    async def test_the_callers_deadline_is_known_below(self, caller: Caller) -> None:
        seen: list[float | None] = []

        async def look(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            seen.append(current_request().remaining_seconds())
            return pb.ClassifyTextResponse()

        caller.servicer.script = look
        await caller.scripted(seconds=7)
        await caller.scripted(seconds=None)
        assert seen[0] is not None
        assert 5 < seen[0] < 8, "the transport rounds deadlines up a little"
        assert seen[1] is not None, "a caller without a deadline gets the default one"
        assert 20 < seen[1] <= 30

    async def test_the_default_ends_calls_that_set_none(self, models: Path) -> None:
        write_model(models)
        dummy = DummyService(models, default_deadline_seconds=0.05, default_stream_deadline_seconds=0.05)
        dummy.servicer.script = forever
        async with dummy.running() as server:
            answered = await Caller(dummy.servicer, server.channel).scripted(seconds=None)
        assert answered.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert answered.reason == "DEADLINE_EXCEEDED"

    async def test_a_deadline_that_passed_before_arrival_does_no_work(self, models: Path) -> None:
        write_model(models)
        dummy = DummyService(models, default_deadline_seconds=1e-9)
        called = []

        async def note(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            called.append(request)
            return pb.ClassifyTextResponse()

        dummy.servicer.script = note
        async with dummy.running() as server:
            answered = await Caller(dummy.servicer, server.channel).scripted(seconds=None)
        assert answered.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert answered.reason == "DEADLINE_EXCEEDED"
        assert called == []

    async def test_work_stops_when_the_callers_deadline_passes(self, caller: Caller) -> None:
        stopped = asyncio.Event()

        async def wait(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            try:
                return await forever(request)
            finally:
                stopped.set()

        caller.servicer.script = wait
        answered = await caller.scripted(seconds=0.1)
        assert answered.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(stopped.wait(), 10)
        assert await caller.alive()

    async def test_a_timeout_inside_the_handler_is_not_the_callers_deadline(self, caller: Caller) -> None:
        async def wait_for_something_else(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            return await asyncio.wait_for(forever(request), 0.01)

        caller.servicer.script = wait_for_something_else
        assert (await caller.scripted()).code is grpc.StatusCode.INTERNAL


class TestErrors:
    async def test_a_service_error_arrives_whole(self, caller: Caller) -> None:
        async def refuse(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            raise NotFound("model", "model", "gpt", "this service has minilm")

        caller.servicer.script = refuse
        answered = await caller.scripted()
        assert answered.code is grpc.StatusCode.NOT_FOUND
        assert answered.message == "model: no model 'gpt'; this service has minilm"
        assert (answered.reason, answered.resource) == ("MODEL_NOT_FOUND", ("model", "gpt"))
        assert answered.status is not None
        assert answered.status.code == grpc.StatusCode.NOT_FOUND.value[0]
        assert answered.status.message == answered.message

    async def test_an_unexpected_exception_leaks_nothing_and_is_logged(self, caller: Caller) -> None:
        async def explode(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            raise RuntimeError(SECRET)

        caller.servicer.script = explode
        with capture_logs() as lines:
            answered = await caller.scripted()
        assert answered.code is grpc.StatusCode.INTERNAL
        assert answered.reason == "INTERNAL"
        assert answered.request_id in answered.message, "so that the caller can report it"
        assert SECRET not in str(answered)
        (logged,) = [line["exc_info"] for line in lines if line["event"] == "unexpected exception"]
        assert SECRET in str(logged)
        assert await caller.alive()

    async def test_a_message_in_another_script_arrives(self, caller: Caller) -> None:
        async def refuse(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            raise InvalidRequest([FieldViolation("texts[0]", "„Zürich“ 🎬 is too long")])

        caller.servicer.script = refuse
        answered = await caller.scripted()
        assert answered.violations == {"texts[0]": "„Zürich“ 🎬 is too long"}
        assert answered.message == "texts[0]: „Zürich“ 🎬 is too long"

    async def test_a_flood_of_long_violations_is_still_an_answer(self, caller: Caller) -> None:
        async def refuse(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            raise InvalidRequest([FieldViolation(f"texts[{index}]", "🎬" * 200) for index in range(50)])

        caller.servicer.script = refuse
        answered = await caller.scripted()
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "texts[0]" in answered.violations

    async def test_bytes_that_are_no_message_are_refused(self, caller: Caller) -> None:
        answered = await call_bytes(caller.channel, EMBED, b"\xff\xff\xff\xff")
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert answered.reason == "INVALID_MESSAGE"
        assert await caller.alive()

    async def test_invalid_text_is_named(self, caller: Caller) -> None:
        answered = await call_bytes(caller.channel, EMBED, b"\x0a\x01a\x0a\x02\xff\xfe")
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert answered.violations == {"texts[1]": "is not valid UTF-8 text"}
        assert await caller.alive()

    async def test_an_unknown_method_is_unimplemented(self, caller: Caller) -> None:
        answered = await call_bytes(caller.channel, "/marquee.text.v1.TextService/Sing", b"")
        assert answered.code is grpc.StatusCode.UNIMPLEMENTED
        assert await caller.alive()

    async def test_a_cancelled_call_ends_its_work_and_leaves_the_server_alive(self, caller: Caller) -> None:
        started, stopped = asyncio.Event(), asyncio.Event()

        async def wait(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            started.set()
            try:
                return await forever(request)
            finally:
                stopped.set()

        caller.servicer.script = wait
        with capture_logs() as lines:
            call = caller.stub.ClassifyText(REQUEST)
            await asyncio.wait_for(started.wait(), 10)
            call.cancel()
            await asyncio.wait_for(stopped.wait(), 10)
            assert await caller.alive()
        assert "CANCELLED" in [line.get("code") for line in lines]


class TestSize:
    @pytest.fixture
    def dummy(self, models: Path) -> DummyService:
        write_model(models)
        return DummyService(models, maximum_message_bytes=2_048)

    async def test_a_message_above_the_limit_is_refused_with_the_limit(self, caller: Caller) -> None:
        answered = await outcome_of(caller.stub.EmbedText(pb.EmbedTextRequest(texts=["x" * 2_100])))
        assert answered.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert answered.reason == "MESSAGE_TOO_LARGE"
        assert answered.metadata == {"limit_bytes": "2048"}
        assert answered.violations == {"request": "has 2,103 bytes; the limit is 2,048"}
        assert await caller.alive()

    async def test_a_message_far_above_it_is_refused_by_the_transport(self, caller: Caller) -> None:
        answered = await outcome_of(caller.stub.EmbedText(pb.EmbedTextRequest(texts=["x" * 100_000])))
        assert answered.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await caller.alive()

    async def test_a_message_of_the_limit_is_accepted(self, caller: Caller) -> None:
        request = pb.EmbedTextRequest(texts=["x"], model="")
        request.texts.append("y" * 900)
        request.texts.append("z" * (2_048 - request.ByteSize() - 3))
        assert request.ByteSize() == 2_048
        answered = await outcome_of(caller.stub.EmbedText(request))
        assert answered.code is not grpc.StatusCode.RESOURCE_EXHAUSTED
        assert answered.violations.keys() <= {"texts[2]"}


class TestStreams:
    async def test_responses_arrive_one_by_one(self, caller: Caller) -> None:
        async def three(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
            for _ in range(3):
                yield pb.ClassifyTextResponse()

        caller.servicer.stream_script = three
        assert await caller.stream() == (3, Outcome(grpc.StatusCode.OK, ""))

    async def test_an_error_in_the_middle_is_mapped(self, caller: Caller) -> None:
        async def one_then_error(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
            yield pb.ClassifyTextResponse()
            raise InvalidRequest([FieldViolation("texts[0]", "is too long")])

        caller.servicer.stream_script = one_then_error
        count, answered = await caller.stream()
        assert count == 1
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert answered.violations == {"texts[0]": "is too long"}
        assert answered.request_id

    async def test_an_unexpected_exception_leaks_nothing(self, caller: Caller) -> None:
        async def explode(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
            if request.texts:
                raise RuntimeError(SECRET)
            yield pb.ClassifyTextResponse()

        caller.servicer.stream_script = explode
        count, answered = await caller.stream()
        assert (count, answered.code, answered.reason) == (0, grpc.StatusCode.INTERNAL, "INTERNAL")
        assert SECRET not in str(answered)

    async def test_the_default_deadline_ends_a_stream(self, models: Path) -> None:
        write_model(models)
        dummy = DummyService(models, default_deadline_seconds=0.05, default_stream_deadline_seconds=0.05)

        async def one_then_wait(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
            yield pb.ClassifyTextResponse()
            await asyncio.Event().wait()

        dummy.servicer.stream_script = one_then_wait
        async with dummy.running() as server:
            _, answered = await Caller(dummy.servicer, server.channel).stream(seconds=None)
        assert answered.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert answered.reason == "DEADLINE_EXCEEDED"

    async def test_a_reader_that_leaves_ends_the_work(self, caller: Caller) -> None:
        stopped = asyncio.Event()

        async def endless(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
            try:
                while True:
                    yield pb.ClassifyTextResponse()
                    await asyncio.sleep(0)
            finally:
                stopped.set()

        caller.servicer.stream_script = endless
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = caller.channel.unary_stream(STREAM)
        call = method(b"")
        await call.read()
        call.cancel()
        await asyncio.wait_for(stopped.wait(), 10)
        assert await caller.alive()


async def test_more_calls_than_the_limit_are_refused_with_advice_and_one_that_ends_makes_room(models: Path) -> None:
    write_model(models)
    service = DummyService(models, maximum_calls=2)
    leave = asyncio.Event()

    async def wait(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
        await leave.wait()
        return pb.ClassifyTextResponse()

    async with service.running() as server:
        service.servicer.script = wait
        caller = Caller(service.servicer, server.channel)
        inside = [asyncio.create_task(caller.scripted()) for _ in range(2)]
        while server.server.telemetry.metrics.in_flight is None or server.server.telemetry.metrics.in_flight() < 2:
            await asyncio.sleep(0.01)
        refused = await caller.scripted()
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
        assert refused.retry_seconds
        assert await health(server.channel) == "SERVING", "health is answered beside the limit"
        leave.set()
        assert {one.code for one in await asyncio.gather(*inside)} == {grpc.StatusCode.OK}
        assert (await caller.scripted()).code is grpc.StatusCode.OK
