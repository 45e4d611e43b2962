"""The least that any grpc.aio server costs: answers one RPC with constant bytes, on uvloop, without interceptors.

    python -m tests.load.benchmark.echo_server <port> <service>/<method>

With the method of an OpenTelemetry collector it is a collector that takes every span and forgets it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import grpc
import uvloop

# About the size of the answer of the trivial model; no message of its own, so nothing for a collector.
ANSWER = bytes(110)
COLLECTOR = "opentelemetry.proto.collector.trace.v1.TraceService/Export"


async def serve(port: int, name: str) -> None:
    """Serve until SIGTERM."""
    answer = b"" if name == COLLECTOR else ANSWER

    async def handle(request: bytes, context: object) -> bytes:
        return answer

    service, _, method = name.strip("/").partition("/")
    server = grpc.aio.server()
    handlers: dict[str, Any] = {method: grpc.unary_unary_rpc_method_handler(handle)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await server.stop(0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), sys.argv[2]))
