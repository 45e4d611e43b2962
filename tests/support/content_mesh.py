"""The orchestrator before a text and a classical service with their committed models, each on a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from marquee.entertainment.v1 import content_service_pb2 as content_pb
from marquee.entertainment.v1 import moderation_service_pb2 as moderation_pb
from marquee.entertainment.v1.content_service_pb2_grpc import ContentServiceStub
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceStub
from services.classical import main as classical_main
from services.classical.settings import ClassicalSettings
from services.orchestrator import main as orchestrator_main
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.request_context import TENANT_KEY
from services.text import main as text_main
from services.text.settings import TextSettings
from tests.support.servers import running

# Nothing listens there.
NOWHERE = "127.0.0.1:9"


@dataclass(frozen=True)
class ContentMesh:
    """Channels to the orchestrator and to the model services that run; None for one that does not.

    Attributes:
        address: of the orchestrator, for a client of its own.
    """

    address: str
    orchestrator: grpc.aio.Channel
    text: grpc.aio.Channel | None
    classical: grpc.aio.Channel | None


class ContentStubs:
    """Calls of one tenant to the orchestrator's services for content.

    Attributes:
        content: `ContentService`.
        moderation: `ModerationService`.
        metadata: goes with every call, for those that are made with the stubs themselves.
    """

    def __init__(self, channel: grpc.aio.Channel, tenant: str = "default") -> None:
        self.content: Any = ContentServiceStub(channel)
        self.moderation: Any = ModerationServiceStub(channel)
        self.metadata = ((TENANT_KEY, tenant),)
        self._channel = channel

    def raw(self, method: str, sent: bytes) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
        """Send bytes as they are to a method such as "ContentService/AnalyzeText"."""
        call: Any = self._channel.unary_unary(f"/marquee.entertainment.v1.{method}")
        sending: grpc.aio.UnaryUnaryCall[bytes, bytes] = call(sent, metadata=self.metadata)
        return sending

    async def raw_stream(self, method: str, sent: bytes) -> list[bytes]:
        """Send one message as it is to a streaming method, and return what comes back."""
        call: Any = self._channel.stream_stream(f"/marquee.entertainment.v1.{method}")
        return [reply async for reply in call(iter([sent]), metadata=self.metadata)]

    async def analyze(self, *texts: str, **options: Any) -> content_pb.AnalyzeTextResponse:
        """Analyse texts."""
        request = content_pb.AnalyzeTextRequest(texts=texts, **options)
        reply: content_pb.AnalyzeTextResponse = await self.content.AnalyzeText(request, metadata=self.metadata)
        return reply

    async def decide(self, *texts: str, **options: Any) -> moderation_pb.ModerateTextResponse:
        """Decide on messages."""
        request = moderation_pb.ModerateTextRequest(texts=texts, **options)
        reply: moderation_pb.ModerateTextResponse = await self.moderation.ModerateText(request, metadata=self.metadata)
        return reply

    async def set_policy(self, *, expected_version: int = 0, **fields: Any) -> moderation_pb.ModerationPolicy:
        """Make a version of the policy "default", unless another name is given."""
        policy = moderation_pb.ModerationPolicy(**{"name": "default", **fields})
        request = moderation_pb.SetModerationPolicyRequest(policy=policy, expected_version=expected_version)
        reply = await self.moderation.SetModerationPolicy(request, metadata=self.metadata)
        stored: moderation_pb.ModerationPolicy = reply.policy
        return stored


@asynccontextmanager
async def content_mesh(
    folder: Path,
    *,
    with_text: bool = True,
    with_classical: bool = True,
    content_seconds: float = 20.0,
    vision_address: str = NOWHERE,
    store_url: str = "",
    classical_options: Mapping[str, Any] | None = None,
    **text_options: Any,
) -> AsyncIterator[ContentMesh]:
    """Run the services; their state lies in the folder unless `store_url` names another place. The options are settings
    of the classical and of the text service.
    """
    async with AsyncExitStack() as stack:
        addresses = {"text": NOWHERE, "classical": NOWHERE}
        text = classical = None
        if with_text:
            options = TextSettings(port=0, bundle_repository=folder / "bundles", drain_seconds=0, **text_options)
            server = await stack.enter_async_context(running(text_main.build(options), options))
            text, addresses["text"] = server.channel, server.address
        if with_classical:
            chosen = ClassicalSettings(
                port=0, bundle_repository=folder / "bundles", drain_seconds=0, **(classical_options or {})
            )
            server = await stack.enter_async_context(running(classical_main.build(chosen), chosen))
            classical, addresses["classical"] = server.channel, server.address
        settings = OrchestratorSettings(
            port=0,
            drain_seconds=0,
            store_url=store_url or f"sqlite:///{folder / 'store.sqlite'}",
            text_address=addresses["text"],
            classical_address=addresses["classical"],
            vision_address=vision_address,
            content_seconds=content_seconds,
            media_seconds=content_seconds,
            # Tests run on machines that do other things too.
            recommend_deadline_seconds=20.0,
            history_seconds=20.0,
            candidate_seconds=20.0,
            tenant_from_metadata=True,
        )
        server = await stack.enter_async_context(running(await orchestrator_main.build(settings), settings))
        yield ContentMesh(server.address, server.channel, text, classical)
