"""A real gRPC server with a known behaviour, to check what load tests report of it.

It answers `marquee.text.v1.TextService` without any model: EmbedText and ClassifyText do what `behaviour` says.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.errors import STATUS_DETAILS_KEY, ServiceError, status_details

EMBED = "marquee.text.v1.TextService/EmbedText"
CLASSIFY = "marquee.text.v1.TextService/ClassifyText"
Behaviour = Callable[[], Awaitable[None]]


async def answer_at_once() -> None:
    """Do nothing."""


class Stalls:
    """Answers at once, but once the whole process of the server hangs, as a collector or a disk can make it hang.

    Args:
        after: seconds from the first call to the stall.
        seconds: length of the stall.
    """

    def __init__(self, after: float, seconds: float) -> None:
        self._after = after
        self._seconds = seconds
        self._planned = False

    async def __call__(self) -> None:
        """Plan the stall with the first call."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(self._after, time.sleep, self._seconds)


class Capacity:
    """Serves `slots` calls at once, each for `seconds`: slots/seconds calls a second and no more; the others wait.

    Args:
        slots: calls served at once.
        seconds: duration of each.
        refuse_above: calls beyond so many waiting are refused as QUEUE_FULL; None lets the queue grow.
    """

    def __init__(self, slots: int, seconds: float, refuse_above: int | None = None) -> None:
        self._free = asyncio.Semaphore(slots)
        self._seconds = seconds
        self._refuse_above = refuse_above
        self._waiting = 0

    async def __call__(self) -> None:
        """Take a slot, or refuse."""
        if self._refuse_above is not None and self._waiting >= self._refuse_above:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "try again later", retry_after_seconds=0.1
            )
        self._waiting += 1
        try:
            async with self._free:
                await asyncio.sleep(self._seconds)
        finally:
            self._waiting -= 1


class Refuses:
    """Answers every call but each `every`-th, which it refuses with an error."""

    def __init__(self, every: int, error: ServiceError) -> None:
        self._every = every
        self._error = error
        self._count = 0

    async def __call__(self) -> None:
        """Count, and refuse."""
        self._count += 1
        if self._count % self._every == 0:
            raise self._error


class _Servicer(text_service_pb2_grpc.TextServiceServicer):
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.texts: list[str] = []

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Any) -> pb.EmbedTextResponse:
        self.texts += request.texts
        await self._behave(context)
        return pb.EmbedTextResponse(dimensions=8, token_count=len(request.texts))

    async def ClassifyText(self, request: pb.ClassifyTextRequest, context: Any) -> pb.ClassifyTextResponse:
        await self._behave(context)
        return pb.ClassifyTextResponse()

    async def _behave(self, context: Any) -> None:
        try:
            await self.behaviour()
        except ServiceError as error:
            context.set_trailing_metadata(((STATUS_DETAILS_KEY, status_details(error)),))
            await context.abort(error.code, error.message)


class LoadServer:
    """A running server.

    Attributes:
        address: where it listens.
        texts: texts of all EmbedText calls.
    """

    def __init__(self, address: str, servicer: _Servicer) -> None:
        self.address = address
        self._servicer = servicer

    @property
    def texts(self) -> list[str]:
        """Texts that were sent."""
        return self._servicer.texts


@contextmanager
def load_server(behaviour: Callable[[], Behaviour] = lambda: answer_at_once) -> Iterator[LoadServer]:
    """Run a server in a thread, with an event loop of its own, for the length of a block.

    Args:
        behaviour: makes the behaviour; called inside the server's event loop.
    """
    ready, stopping = threading.Event(), threading.Event()
    made: list[LoadServer] = []

    async def serve() -> None:
        server = grpc.aio.server()
        servicer = _Servicer(behaviour())  # type: ignore[abstract]  # GenerateCandidates is left out
        text_service_pb2_grpc.add_TextServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        made.append(LoadServer(f"127.0.0.1:{port}", servicer))
        ready.set()
        while not stopping.is_set():
            await asyncio.sleep(0.02)
        await server.stop(0)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield made[0]
    finally:
        stopping.set()
        thread.join()
