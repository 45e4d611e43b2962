from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest

from services.runtime.observability.exposition import MetricsEndpoint
from services.runtime.observability.metrics import Metrics
from services.runtime.startup import CannotStart

HOST = "127.0.0.1"


@pytest.fixture
async def endpoint() -> AsyncIterator[MetricsEndpoint]:
    endpoint = MetricsEndpoint(HOST, 0, Metrics("text", "1"))
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


async def exchange(port: int, request: bytes) -> tuple[str, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), content


async def test_the_page_is_served(endpoint: MetricsEndpoint) -> None:
    status, headers, content = await exchange(endpoint.port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(headers["Content-Length"]) == len(content)
    assert b'marquee_build_info{service="text"' in content


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET / HTTP/1.1", "HTTP/1.1 404 Not Found"),
        (b"POST /metrics HTTP/1.1", "HTTP/1.1 405 Method Not Allowed"),
        (b"HEAD /metrics HTTP/1.1", "HTTP/1.1 200 OK"),
        (b"rubbish", "HTTP/1.1 404 Not Found"),
        (b"\xff\xfe\x00", "HTTP/1.1 404 Not Found"),
    ],
)
async def test_other_requests_are_answered_clearly(
    endpoint: MetricsEndpoint, request_line: bytes, expected: str
) -> None:
    assert (await exchange(endpoint.port, request_line + b"\r\n\r\n"))[0] == expected


async def test_a_head_without_end_is_cut_off(endpoint: MetricsEndpoint) -> None:
    reader, writer = await asyncio.open_connection(HOST, endpoint.port)
    writer.write(b"x" * 100_000)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert (await exchange(endpoint.port, b"GET /metrics HTTP/1.1\r\n\r\n"))[0].endswith("200 OK")


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"{HOST}:{port} for metrics"):
            await MetricsEndpoint(HOST, port, Metrics()).start()


async def test_silent_clients_do_not_hold_up_the_end() -> None:
    endpoint = MetricsEndpoint(HOST, 0, Metrics())
    await endpoint.start()
    connections = [await asyncio.open_connection(HOST, endpoint.port) for _ in range(30)]
    await asyncio.sleep(0.05)
    start = time.monotonic()
    await endpoint.stop()
    assert time.monotonic() - start < 1
    for _, writer in connections:
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, endpoint.port)


async def test_a_scrape_of_thousands_of_series_leaves_room_for_calls() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.model(f"m{number}", "1").ran(1, 1, 0.1)
    endpoint = MetricsEndpoint(HOST, 0, metrics)
    await endpoint.start()
    turns, scraping = 0, True

    async def serve_calls() -> None:
        nonlocal turns
        while scraping:
            turns += 1
            await asyncio.sleep(0)

    serving = asyncio.create_task(serve_calls())
    _, _, content = await exchange(endpoint.port, b"GET /metrics HTTP/1.1\r\n\r\n")
    scraping = False
    await serving
    await endpoint.stop()
    series = content.count(b"\n")
    assert series > 6_000
    assert turns >= series // 200
