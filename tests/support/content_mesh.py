"""The orchestrator before a text and a classical service with their committed models, each on a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from services.classical import main as classical_main
from services.classical.settings import ClassicalSettings
from services.orchestrator import main as orchestrator_main
from services.orchestrator.settings import OrchestratorSettings
from services.text import main as text_main
from services.text.settings import TextSettings
from tests.support.servers import running

# Nothing listens there.
NOWHERE = "127.0.0.1:9"


@dataclass(frozen=True)
class ContentMesh:
    """Channels to the orchestrator and to the model services that run; None for one that does not."""

    orchestrator: grpc.aio.Channel
    text: grpc.aio.Channel | None
    classical: grpc.aio.Channel | None


@asynccontextmanager
async def content_mesh(
    folder: Path, *, with_text: bool = True, with_classical: bool = True
) -> AsyncIterator[ContentMesh]:
    """Run the services; their state lies in the folder."""
    async with AsyncExitStack() as stack:
        addresses = {"text": NOWHERE, "classical": NOWHERE}
        text = classical = None
        if with_text:
            options = TextSettings(port=0, bundle_repository=folder / "bundles", drain_seconds=0)
            server = await stack.enter_async_context(running(text_main.build(options), options))
            text, addresses["text"] = server.channel, server.address
        if with_classical:
            chosen = ClassicalSettings(port=0, bundle_repository=folder / "bundles", drain_seconds=0)
            server = await stack.enter_async_context(running(classical_main.build(chosen), chosen))
            classical, addresses["classical"] = server.channel, server.address
        settings = OrchestratorSettings(
            port=0,
            drain_seconds=0,
            store_url=f"sqlite:///{folder / 'store.sqlite'}",
            text_address=addresses["text"],
            classical_address=addresses["classical"],
            vision_address=NOWHERE,
            content_seconds=20.0,
        )
        server = await stack.enter_async_context(running(await orchestrator_main.build(settings), settings))
        yield ContentMesh(server.channel, text, classical)
