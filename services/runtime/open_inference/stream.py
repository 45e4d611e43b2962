"""ModelStreamInfer: the requests of one stream, answered in their order, a few of them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from inference import open_inference_pb2 as pb
from services.runtime.errors import ServiceError, internal_error
from services.runtime.logs import get_logger
from services.runtime.open_inference.inference import LONGEST_NAME, Inference
from services.runtime.request_context import RequestContext, current_request, enter_request

# Enough for a stream to keep every engine busy; more would only let one caller fill the queue. The next request is read
# when the oldest answer has left, which holds back the caller through the transport's own flow control.
_MOST_IN_FLIGHT = 16
_logger = get_logger(__name__)

Answer = asyncio.Task[pb.ModelStreamInferResponse]


async def answer_stream(
    inference: Inference, requests: AsyncIterator[pb.ModelInferRequest]
) -> AsyncIterator[pb.ModelStreamInferResponse]:
    """Yield one response for each request, in their order. A request that fails is answered with its error.

    What is in flight is given up when the stream ends early.
    """
    call = current_request()
    answers: asyncio.Queue[Answer | None] = asyncio.Queue()
    room = asyncio.Semaphore(_MOST_IN_FLIGHT)
    in_flight: set[Answer] = set()

    async def read() -> None:
        try:
            async for request in requests:
                await room.acquire()
                answer = asyncio.create_task(_answer(inference, request, call))
                in_flight.add(answer)
                answer.add_done_callback(in_flight.discard)
                answers.put_nowait(answer)
        finally:
            answers.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (answer := await answers.get()) is not None:
            yield await answer
            room.release()
        # A message that is none, or is too large, ends the stream with its own status.
        await reader
    finally:
        reader.cancel()
        for answer in list(in_flight):
            answer.cancel()


async def _answer(
    inference: Inference, request: pb.ModelInferRequest, call: RequestContext
) -> pb.ModelStreamInferResponse:
    own = RequestContext(call.request_id, call.tenant, call.deadline, priority=call.priority)
    own.span = call.span
    enter_request(own)
    try:
        return pb.ModelStreamInferResponse(infer_response=await inference.infer(request))
    except ServiceError as error:
        return _refusal(request, error)
    except Exception as error:
        _logger.error("unexpected exception", exc_info=error)
        return _refusal(request, internal_error(call.request_id))


def _refusal(request: pb.ModelInferRequest, error: ServiceError) -> pb.ModelStreamInferResponse:
    return pb.ModelStreamInferResponse(
        error_message=f"{error.code.name}: {error.message}",
        infer_response=pb.ModelInferResponse(
            id=request.id[:LONGEST_NAME],
            model_name=request.model_name[:LONGEST_NAME],
            model_version=request.model_version[:LONGEST_NAME],
        ),
    )
