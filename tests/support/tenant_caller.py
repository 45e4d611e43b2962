"""Calls the orchestrator's RPCs as one tenant, by their names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from marquee.entertainment.v1 import media_service_pb2 as media_pb
from tests.support.clients import failure


@dataclass
class Caller:
    """Calls RPCs as one tenant.

    Attributes:
        known: tokens that were given to the tenant.
    """

    channel: grpc.aio.Channel
    tenant: str
    known: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, *requests: Message) -> list[Any]:
        """Return the replies to a call of "Service.Method"; raises `AioRpcError`."""
        service, _, name = method.partition(".")
        full = f"marquee.entertainment.v1.{service}"
        found = descriptor_pool.Default().FindServiceByName(full).FindMethodByName(name)
        options: dict[str, Any] = {
            "request_serializer": lambda request: request.SerializeToString(),
            "response_deserializer": message_factory.GetMessageClass(found.output_type).FromString,
        }
        path, metadata = f"/{full}/{name}", (("x-marquee-tenant", self.tenant),)
        if found.server_streaming and found.client_streaming:
            both: Any = self.channel.stream_stream(path, **options)
            return [reply async for reply in both(iter(requests), timeout=30, metadata=metadata)]
        if found.server_streaming:
            call: Any = self.channel.unary_stream(path, **options)
            return [reply async for reply in call(requests[0], timeout=30, metadata=metadata)]
        if found.client_streaming:
            call = self.channel.stream_unary(path, **options)
            return [await call(iter(requests), timeout=30, metadata=metadata)]
        call = self.channel.unary_unary(path, **options)
        return [await call(requests[0], timeout=30, metadata=metadata)]

    async def one(self, method: str, request: Message) -> Any:
        """Return the only reply."""
        return (await self.ask(method, request))[0]

    async def refused(self, method: str, *requests: Message) -> grpc.StatusCode:
        """Return the code that a call is refused with."""
        try:
            replies = await self.ask(method, *requests)
        except grpc.aio.AioRpcError as error:
            return failure(error).code
        raise AssertionError(f"{method} answered {replies}")


Case = Callable[[Caller, Caller], Awaitable[None]]
"""What the second tenant tries with an RPC that the first one's state is behind."""


def media_cases(secret: str, policy: str) -> dict[str, Case]:
    """Return what a tenant tries with pictures and clips: an item and a policy that another tenant has."""
    attach, options = media_pb.MediaAttachment(item_id=secret), media_pb.MediaOptions(policy=policy)
    similar = [media_pb.MEDIA_FEATURE_SIMILAR_ITEMS]

    async def image(ours: Caller, theirs: Caller) -> None:
        method = "MediaService.AnalyzeImage"
        for foreign in (
            media_pb.AnalyzeImageRequest(image=b"x", attach=attach),
            media_pb.AnalyzeImageRequest(image=b"x", options=options),
        ):
            assert await theirs.refused(method, foreign) is grpc.StatusCode.NOT_FOUND
        found = await theirs.one(method, media_pb.AnalyzeImageRequest(image=b"x", features=similar))
        assert all(item.title.startswith(theirs.tenant) for item in found.analysis.similar_items)

    async def clip(ours: Caller, theirs: Caller) -> None:
        for start in (media_pb.ClipStart(attach=attach), media_pb.ClipStart(options=options)):
            foreign = media_pb.AnalyzeClipRequest(start=start)
            assert await theirs.refused("MediaService.AnalyzeClip", foreign) is grpc.StatusCode.NOT_FOUND

    return {"MediaService.AnalyzeImage": image, "MediaService.AnalyzeClip": clip}
