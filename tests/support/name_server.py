"""A name server of this machine whose answers a test changes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_ANSWER = b"\x84\x00"  # a response, authoritative, no error
_A = 1
_SECONDS_TO_LIVE = 1


class NameServer(asyncio.DatagramProtocol):
    """Answers every question for an IPv4 address with the same list.

    Attributes:
        addresses: what every name stands for.
        questions: how often it was asked.
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.questions = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        end = data.index(b"\x00", 12) + 5  # name, type, class
        wanted = struct.unpack("!H", data[end - 4 : end - 2])[0]
        found = self.addresses if wanted == _A else []
        self.questions += wanted == _A
        answer = data[:2] + _ANSWER + struct.pack("!HHHH", 1, len(found), 0, 0) + data[12:end]
        for one in found:
            answer += b"\xc0\x0c" + struct.pack("!HHIH", _A, 1, _SECONDS_TO_LIVE, 4) + socket.inet_aton(one)
        assert self._transport is not None
        self._transport.sendto(answer, addr)

    def target(self, port: int) -> str:
        """Return the gRPC target of servers at this port of its addresses."""
        return f"dns://127.0.0.1:{self.port}/replicas.test:{port}"

    def close(self) -> None:
        """Answer no more."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def name_server(*addresses: str) -> AsyncIterator[NameServer]:
    """Run a name server for the length of a block."""
    _, server = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
    server.addresses = list(addresses)
    try:
        yield server
    finally:
        server.close()
