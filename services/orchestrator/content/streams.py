"""Live streams: what waits is worked on together, and answered in the order it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeVar

MessageT = TypeVar("MessageT")


async def waiting_together(messages: AsyncIterator[MessageT], most: int) -> AsyncIterator[list[MessageT]]:
    """Yield what has come since the last time, at least one message and at most `most`.

    The queue is bounded, so a caller who sends faster than the models read is slowed down by gRPC's flow control.
    """
    queue: asyncio.Queue[MessageT | None] = asyncio.Queue(4 * most)

    async def read() -> None:
        try:
            async for message in messages:
                await queue.put(message)
        finally:
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
        await reader
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reader
