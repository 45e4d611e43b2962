"""Live streams: what waits is worked on together, and answered in the order it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import TypeVar

MessageT = TypeVar("MessageT")


async def waiting_together(messages: AsyncIterator[MessageT], most: int) -> AsyncGenerator[list[MessageT], None]:
    """Yield what has come since the last time, at least one message and at most `most`.

    The queue is bounded, so a caller who sends faster than the models read is slowed down by gRPC's flow control.
    """
    queue: asyncio.Queue[MessageT | None] = asyncio.Queue(4 * most)

    failures: list[Exception] = []

    async def read() -> None:
        try:
            async for message in messages:
                await queue.put(message)
        except Exception as error:
            failures.append(error)
        # Not when cancelled: then nobody takes from the queue any more, and a full one would hold this task for ever.
        await queue.put(None)

    reader = asyncio.create_task(read())
    try:
        while True:
            first = await queue.get()
            if first is None:
                break
            batch, ended = [first], False
            while len(batch) < most and not queue.empty():
                following = queue.get_nowait()
                if following is None:
                    ended = True
                    break
                batch.append(following)
            yield batch
            if ended:
                break
        if failures:
            raise failures[0]
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
