"""Sends a stream of requests without losing what the server says when it ends the call meanwhile.

When a call ends while a message of it is being sent, grpc.aio's `write` puts INTERNAL, "Internal error from Core", in
place of the server's status. Here its coroutine is left where the transport's failure reaches it, before it does so;
the status then arrives by itself. The client library, which no service imports, has the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Coroutine, Generator
from typing import Any, TypeVar

from grpc import aio

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class _Sending:
    """Drives a coroutine and raises what it waits for raises, without telling the coroutine."""

    def __init__(self, sending: Coroutine[Any, Any, None]) -> None:
        self._sending = sending

    def __await__(self) -> Generator[Any, None, None]:
        try:
            while True:
                try:
                    waited_for = self._sending.send(None)
                except StopIteration:
                    return
                yield waited_for
        finally:
            self._sending.close()


async def send_all(call: aio.StreamStreamCall[RequestT, ResponseT], requests: AsyncIterable[RequestT]) -> None:
    """Send requests and close our side; returns early when the call has ended, which reading tells more of.

    Raises:
        Exception: whatever the requests raise.
    """
    async for request in requests:
        try:
            await _Sending(call.write(request))
        except Exception:
            return
    await call.done_writing()
