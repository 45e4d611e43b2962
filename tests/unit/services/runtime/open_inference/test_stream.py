from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import grpc
import pytest

from inference import open_inference_pb2 as pb
from services.runtime.errors import ServiceError
from services.runtime.open_inference.inference import Inference
from services.runtime.open_inference.stream import answer_stream
from services.runtime.request_context import RequestContext, current_request, enter_request

Answer = Callable[[pb.ModelInferRequest], Coroutine[Any, Any, pb.ModelInferResponse]]


class Script:
    """An inference that does what the test says, and counts."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.running = self.most = self.cancelled = 0

    async def infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def stream(script: Script, requests: AsyncIterator[pb.ModelInferRequest]) -> AsyncIterator[pb.ModelStreamInferResponse]:
    return answer_stream(cast("Inference", script), requests)


async def numbered(count: int) -> AsyncIterator[pb.ModelInferRequest]:
    for number in range(count):
        yield pb.ModelInferRequest(id=str(number))


async def echo(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    return pb.ModelInferResponse(id=request.id)


async def test_answers_come_in_the_order_of_the_requests() -> None:
    async def slow_first(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        await asyncio.sleep(0.02 if request.id == "0" else 0)
        return await echo(request)

    answers = [answer async for answer in stream(Script(slow_first), numbered(50))]
    assert [answer.infer_response.id for answer in answers] == [str(number) for number in range(50)]


async def test_few_requests_are_in_flight_and_no_more_are_read() -> None:
    read = 0

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        nonlocal read
        async for request in numbered(1000):
            read += 1
            yield request

    answers = stream(Script(echo), requests())
    await anext(answers)
    await asyncio.sleep(0.02)
    assert read <= 20
    script = Script(lambda request: asyncio.sleep(0.001, pb.ModelInferResponse()))
    assert len([answer async for answer in stream(script, numbered(60))]) == 60
    assert 2 <= script.most <= 16


async def test_errors_are_answers() -> None:
    async def fail(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        if request.id == "1":
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "try again")
        if request.id == "2":
            raise KeyError("secret")
        return await echo(request)

    answers = [answer async for answer in stream(Script(fail), numbered(4))]
    assert [answer.error_message[:18] for answer in answers] == ["", "RESOURCE_EXHAUSTED", "INTERNAL: internal", ""]
    assert "secret" not in answers[2].error_message
    assert [answer.infer_response.id for answer in answers] == ["0", "1", "2", "3"]


async def test_a_request_stream_that_breaks_ends_the_stream_after_the_answers() -> None:
    async def broken() -> AsyncIterator[pb.ModelInferRequest]:
        async for request in numbered(3):
            yield request
        raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", "too large")

    answers = stream(Script(echo), broken())
    assert [(await anext(answers)).infer_response.id for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(ServiceError, match="too large"):
        await anext(answers)


async def test_a_stream_that_is_given_up_cancels_what_is_in_flight() -> None:
    async def first_only(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        if request.id != "0":
            await asyncio.sleep(60)
        return await echo(request)

    script = Script(first_only)
    answers = stream(script, numbered(1000))
    await anext(answers)
    await asyncio.sleep(0.01)
    await answers.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.01)
    assert script.running == 0
    assert script.cancelled > 0


async def test_each_request_has_its_own_context_of_the_same_call() -> None:
    enter_request(call := RequestContext("id-1", "studio"))
    seen: list[RequestContext] = []

    async def note(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        seen.append(current_request())
        return await echo(request)

    assert len([answer async for answer in stream(Script(note), numbered(2))]) == 2
    assert {one.request_id for one in seen} == {"id-1"}
    assert {one.tenant for one in seen} == {"studio"}
    assert call not in seen
    assert seen[0] is not seen[1]
