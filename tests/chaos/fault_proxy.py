"""A small TCP proxy that makes a good connection bad: slow, thin, silent or broken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 16 << 10
_HELD_CHUNKS = 256
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with a time of 0: closing sends RST


class FaultProxy:
    """Forwards connections to one address of this machine. The faults may change at any time, and apply to open
    connections too.

    Args:
        host: where to forward to.
        port: the port there.

    Attributes:
        delay_seconds: how much later each chunk arrives, in each direction; order and throughput stay.
        bytes_per_second: throughput of each direction of each connection; None is unlimited.
        port: port of the proxy on 127.0.0.1, once it is started.
    """

    def __init__(self, host: str, port: int) -> None:
        self.delay_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.port = 0
        self._target = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    @property
    def address(self) -> str:
        """Return `host:port` of the proxy."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and break what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._connections)
        self.reset()
        await asyncio.gather(*tasks, return_exceptions=True)

    def heal(self) -> None:
        """Take all faults away. What was held back is forwarded."""
        self.delay_seconds, self.bytes_per_second = 0.0, None
        self._open.set()

    def blackhole(self) -> None:
        """Forward nothing any more, in silence: connections stay open, new ones are accepted, no byte arrives."""
        self._open.clear()

    def reset(self) -> None:
        """Break every open connection with RST."""
        for task, writers in list(self._connections.items()):
            for writer in writers:
                connected = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                writer.transport.abort()
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = (writer,)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._connections[task] = (writer, far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, far_writer))
                both.create_task(self._forward(far_reader, writer))
        except* OSError:
            pass  # the other side is down, or went away: this side's connection ends as well
        except* asyncio.CancelledError:
            pass  # reset or stopped
        finally:
            for one in self._connections.pop(task):
                one.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one direction until its end; the time each chunk waits does not hold up those behind it."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_HELD_CHUNKS)
        sending = asyncio.create_task(self._send(held, writer))
        try:
            while True:
                data = await reader.read(_CHUNK_BYTES)
                await held.put((asyncio.get_running_loop().time() + self.delay_seconds, data))
                if not data:
                    await sending
                    return
        finally:
            sending.cancel()

    async def _send(self, held: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await held.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._open.wait()
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            if self.bytes_per_second is not None:
                await asyncio.sleep(len(data) / self.bytes_per_second)
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()
