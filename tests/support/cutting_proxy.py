"""A TCP proxy that breaks connections at chosen moments, or goes silent."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Forwards connections to a port of 127.0.0.1.

    Args:
        target: port to forward to.

    Attributes:
        port: port to connect to.
        cuts: connections cut by `cut_at`.
        silent: while True nothing is forwarded, in no direction, and nobody is told.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._word = b""
        self._forward = False
        self.port = 0
        self.cuts = 0
        self.silent = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_at(self, word: bytes, *, forward: bool) -> None:
        """Cut the next connection whose client sends `word`, after or before the server gets it."""
        self._word, self._forward = word, forward

    def cut(self) -> None:
        """Cut all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, upstream}
        for source, target, back in ((reader, upstream, writer), (upstream_reader, writer, None)):
            task = asyncio.create_task(self._pump(source, target, back))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        try:
            while content := await source.read(65_536):
                while self.silent:
                    await asyncio.sleep(0.01)
                if client is not None and self._word and self._word in content:
                    self._word = b""
                    self.cuts += 1
                    client.transport.abort()
                    if self._forward:
                        target.write(content)
                        await target.drain()
                        await asyncio.sleep(0.1)  # the server works on it; nobody hears its answer
                    break
                target.write(content)
                await target.drain()
        except (ConnectionError, OSError):
            pass  # the other side is gone
        finally:
            target.close()
