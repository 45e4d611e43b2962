"""The metrics page over HTTP, for Prometheus to scrape."""

from __future__ import annotations

import asyncio
import contextlib

from services.runtime.logs import get_logger
from services.runtime.observability.metrics import Metrics
from services.runtime.observability.text_format import CONTENT_TYPE
from services.runtime.startup import AddressInUse

PATH = "/metrics"
_SECONDS = 10.0
_LONGEST_HEAD = 16 << 10
_MOST_CONNECTIONS = 16
_logger = get_logger(__name__)


class MetricsEndpoint:
    """Serves `/metrics` on the event loop of the service.

    The page is made a piece at a time and calls are served in between: a thread would hold the interpreter for five
    milliseconds at a stretch.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        metrics: what to show.
    """

    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        self._host = host
        self.port = port
        """Port that it listens on."""
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressInUse: the address cannot be bound.
        """
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self.port, limit=_LONGEST_HEAD)
        except OSError as error:
            raise AddressInUse(
                f"cannot listen on {self._host}:{self.port} for metrics: the port is taken or the address is not this "
                "machine's; set another metrics_port, 0 for a free one"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        _logger.info("metrics", url=f"http://{_in_url(self._host)}:{self.port}{PATH}")

    async def stop(self) -> None:
        """Listen no more, and end the scrapes in progress."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            async with asyncio.timeout(_SECONDS):
                await self._answer(await reader.readuntil(b"\r\n\r\n"), writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, too slow, or no HTTP client
        finally:
            self._open.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        method, _, rest = head.split(b"\r\n", 1)[0].partition(b" ")
        path = rest.split(b" ", 1)[0].partition(b"?")[0]
        if path != PATH.encode():
            await _send(writer, "404 Not Found", "text/plain", b"The metrics are at /metrics.\n")
        elif method not in (b"GET", b"HEAD"):
            await _send(writer, "405 Method Not Allowed", "text/plain", b"Use GET.\n", allow="GET, HEAD")
        else:
            page = []
            for piece in self._metrics.pieces() if method == b"GET" else ():
                page.append(piece)
                await asyncio.sleep(0)
            await _send(writer, "200 OK", CONTENT_TYPE, b"".join(page))


async def _send(writer: asyncio.StreamWriter, status: str, kind: str, content: bytes, **headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.title()}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + content)
    await writer.drain()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
