"""Calls the orchestrator's RPCs as one tenant, by their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

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
