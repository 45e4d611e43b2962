"""Objects over a socket between the command and its generator processes: a length, then a pickle.

Both ends are this program, on this machine, over a socket pair that nobody else can reach.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from typing import Any, BinaryIO

_LENGTH = struct.Struct("!Q")


def pack(message: object) -> bytes:
    """Return a message as it travels."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def receive(stream: BinaryIO) -> Any:
    """Read the next message; None at the end of the stream."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    content = stream.read(_LENGTH.unpack(header)[0])
    return pickle.loads(content)  # noqa: S301 (see the module)


async def receive_async(stream: asyncio.StreamReader) -> Any:
    """Read the next message; None at the end of the stream."""
    try:
        header = await stream.readexactly(_LENGTH.size)
        content = await stream.readexactly(_LENGTH.unpack(header)[0])
    except asyncio.IncompleteReadError:
        return None
    return pickle.loads(content)  # noqa: S301
