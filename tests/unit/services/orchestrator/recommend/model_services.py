"""The three model services of a mesh, in this process, on bundles in one folder. None of them has a model: what
recommendation asks of them comes from bundles.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from marquee.text.v1 import text_service_pb2_grpc
from marquee.vision.v1 import vision_service_pb2_grpc
from services.classical import main as classical_main
from services.classical.settings import ClassicalSettings
from services.orchestrator.mesh import CONTRACTS, FAMILIES, Family, Mesh
from services.runtime.model_service import ModelService
from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ModelServiceSettings
from services.text.servicer import TextServicer
from services.text.settings import TextSettings
from services.vision.servicer import VisionServicer
from services.vision.settings import VisionSettings


class Port:
    """A port of this machine that is ours for a whole test, so that a service can go away and come back on it.

    A bound socket that does not listen refuses connections, and lets a server of the same process take the port over.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.number}"

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class _NoAnswers(grpc.GenericRpcHandler):
    """Takes every call to Marquee's own methods and never answers."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if not handler_call_details.method.startswith("/marquee."):
            return None  # without a health service, a server counts as healthy
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(_wait_forever)
        return handler


async def _wait_forever(request: bytes, context: Any) -> bytes:
    await asyncio.Event().wait()
    return b""


class ModelServices:
    """Three model services, none of which runs until it is started.

    Attributes:
        bundles: folder they load bundles from.
        mesh: the orchestrator's way to them.
    """

    def __init__(self, folder: Path) -> None:
        self.bundles = folder / "bundles"
        self._models = folder / "no-models"
        self._models.mkdir()
        self._ports = {family: Port() for family in FAMILIES}
        self._running: dict[Family, ServiceServer] = {}
        self.mesh = Mesh({family: port.address for family, port in self._ports.items()})

    async def start(self, *families: Family) -> None:
        """Start services, all three when none is named; they have no bundle loaded."""
        for family in families or FAMILIES:
            settings = self._settings(family)
            server = self._running[family] = ServiceServer(_definition(family, settings), settings)
            await server.start()

    async def stop(self, *families: Family) -> None:
        """Stop services, all that run when none is named."""
        for family in families or tuple(self._running):
            await self._running.pop(family).stop()

    @asynccontextmanager
    async def hang(self, family: Family) -> AsyncIterator[None]:
        """Let a service that does not run take calls for the length of a block, and never answer one."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_NoAnswers(),))
        server.add_insecure_port(self._ports[family].address)
        await server.start()
        try:
            yield
        finally:
            await server.stop(None)

    async def load(self, version: str) -> None:
        """Have a bundle loaded by every service that runs."""
        for family in self._running:
            await self.mesh.load_bundle(family, "default", version, 10)

    async def loaded(self, family: Family) -> set[str]:
        """Return the versions that a service has loaded."""
        return {bundle.version for bundle in await self.mesh.list_bundles(family, "default", 10)}

    async def close(self) -> None:
        """Stop everything."""
        await self.stop()
        await self.mesh.close()
        for port in self._ports.values():
            port.close()

    def _settings(self, family: Family) -> ModelServiceSettings:
        kinds: dict[Family, type[ModelServiceSettings]] = {
            "classical": ClassicalSettings,
            "text": TextSettings,
            "vision": VisionSettings,
        }
        return kinds[family](
            port=self._ports[family].number,
            model_repository=self._models,
            bundle_repository=self.bundles,
            engines=1,
            drain_seconds=0,
        )


def _definition(family: Family, settings: ModelServiceSettings) -> ServiceDefinition:
    if isinstance(settings, ClassicalSettings):
        return classical_main.build(settings)
    service = ModelService(family, settings)

    def attach(server: grpc.aio.Server) -> None:
        if isinstance(settings, TextSettings):
            text_service_pb2_grpc.add_TextServiceServicer_to_server(TextServicer(service, settings), server)
        elif isinstance(settings, VisionSettings):
            vision_service_pb2_grpc.add_VisionServiceServicer_to_server(VisionServicer(service, settings), server)

    return service.definition(CONTRACTS[family], attach, needs_models=False)
