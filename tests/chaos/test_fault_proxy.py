"""The fault proxy does to a connection what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.fault_proxy import FaultProxy

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1_000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as started:
        yield started
    server.close()


@pytest.fixture
async def connection(proxy: FaultProxy) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.close()


async def ask(connection: Connection, content: bytes = b"hello") -> float:
    reader, writer = connection
    start = time.monotonic()
    writer.write(content)
    assert await reader.readexactly(len(content)) == content
    return time.monotonic() - start


async def test_without_a_fault_everything_passes(connection: Connection) -> None:
    assert await ask(connection, bytes(range(256)) * 400) < 1


async def test_delay_counts_in_each_direction_and_keeps_the_throughput(
    proxy: FaultProxy, connection: Connection
) -> None:
    proxy.delay_seconds = 0.1
    assert 0.2 <= await ask(connection) < 0.4
    assert await ask(connection, bytes(200_000)) < 0.6


async def test_throttle_takes_its_time(proxy: FaultProxy, connection: Connection) -> None:
    proxy.bytes_per_second = 10_000
    assert await ask(connection, bytes(2_000)) >= 0.4


async def test_nothing_passes_a_black_hole_until_it_heals(proxy: FaultProxy, connection: Connection) -> None:
    proxy.blackhole()
    waiting = asyncio.create_task(ask(connection))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    proxy.heal()
    assert await waiting >= 0.2


async def test_reset_breaks_what_is_open_only(proxy: FaultProxy, connection: Connection) -> None:
    await ask(connection)
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await connection[0].read()
    fresh = await asyncio.open_connection("127.0.0.1", proxy.port)
    await ask(fresh)
    fresh[1].close()


async def test_the_end_of_one_side_reaches_the_other(connection: Connection) -> None:
    reader, writer = connection
    writer.write(b"last")
    writer.write_eof()
    assert await reader.read() == b"last"
