"""A generator process: `python -m services.cli.load.worker <socket>`. It does what the command at the other end says.

It imports little and keeps no histogram, so that its event loop has nothing to do but send and receive. It ends when
the socket does, however the command ended.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from typing import Any

import uvloop

from services.cli.load.generator import Generator
from services.cli.load.plan import Prepare, Ready, Segment, Stop
from services.cli.load.wire import pack, receive_async

_REPORT_SECONDS = 0.25


async def serve(connection: socket.socket) -> None:
    """Answer commands until the socket is closed."""
    reader, writer = await asyncio.open_connection(sock=connection)
    generator: Generator | None = None
    running: asyncio.Task[None] | None = None
    try:
        while (command := await receive_async(reader)) is not None:
            match command:
                case Prepare():
                    generator = Generator(command.plan, command.seed)
                    writer.write(pack(Ready(await generator.connect())))
                    # What is there now stays: the collector need not look at it in the middle of a call.
                    gc.collect()
                    gc.freeze()
                case Segment() if generator is not None:
                    running = asyncio.create_task(_run(generator, command, writer))
                case Stop() if generator is not None:
                    generator.stop()
    finally:
        if running is not None:
            running.cancel()
        if generator is not None:
            await generator.close()
        writer.close()


async def _run(generator: Generator, segment: Segment, writer: Any) -> None:
    async def report() -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            writer.write(pack(generator.take()))

    reporting = asyncio.create_task(report())
    try:
        finished = await generator.run(segment)
    finally:
        reporting.cancel()
    writer.write(pack(generator.take()))
    writer.write(pack(finished))


def main() -> None:
    """Run the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which then tells us to stop
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.setblocking(False)
    uvloop.run(serve(connection))


if __name__ == "__main__":
    main()
