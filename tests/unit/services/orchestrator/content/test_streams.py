from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from services.orchestrator.content.streams import waiting_together


async def counted(most: int, read: list[int]) -> AsyncIterator[int]:
    for number in range(most):
        read.append(number)
        yield number


async def test_what_waits_comes_together_in_order_and_nothing_is_lost() -> None:
    batches = [batch async for batch in waiting_together(counted(100, []), 8)]
    assert [number for batch in batches for number in batch] == list(range(100))
    assert max(map(len, batches)) <= 8


async def test_one_message_does_not_wait_for_another() -> None:
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def messages() -> AsyncIterator[str]:
        while True:
            yield await arrived.get()

    async with aclosing(waiting_together(messages(), 8)) as waiting:
        arrived.put_nowait("first")
        assert await asyncio.wait_for(anext(waiting), 5) == ["first"]
        arrived.put_nowait("second")
        assert await asyncio.wait_for(anext(waiting), 5) == ["second"]


async def test_a_slow_reader_slows_the_sender_down() -> None:
    read: list[int] = []
    async with aclosing(waiting_together(counted(10_000, read), 4)) as waiting:
        await anext(waiting)
        await asyncio.sleep(0.05)
        assert len(read) < 100


async def test_a_reader_who_leaves_while_much_waits_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with aclosing(waiting_together(counted(10_000, []), 4)) as waiting:
        await anext(waiting)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_an_error_of_the_sender_comes_after_what_was_sent() -> None:
    async def messages() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("gone")

    waiting = waiting_together(messages(), 4)
    assert await anext(waiting) == [1]
    with pytest.raises(ConnectionError, match="gone"):
        await anext(waiting)
