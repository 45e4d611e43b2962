"""Items, events, vectors and model services for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import grpc
import numpy as np

from services.orchestrator.catalog.content_models import TextVectors
from services.orchestrator.store.records import (
    DescribedPicture,
    EventWrite,
    ItemVector,
    ItemWrite,
    UndescribedPicture,
)
from services.runtime.errors import FieldViolation, InvalidRequest, Unavailable

PNG = b"\x89PNG\r\n\x1a\n"
LIKE = 3


def item(item_id: str, **fields: object) -> ItemWrite:
    """Return an item to write."""
    return ItemWrite(**({"item_id": item_id, "title": f"Title {item_id}"} | fields))  # type: ignore[arg-type]


def event(event_id: str, **fields: object) -> EventWrite:
    """Return an event to write."""
    defaults = {"user_id": "ann", "item_id": "heat", "kind": LIKE, "weight": 1.0, "event_time": 1_000}
    return EventWrite(**({"event_id": event_id} | defaults | fields))  # type: ignore[arg-type]


def vector(*values: float, model: str = "sentences", version: str = "1") -> ItemVector:
    """Return a vector."""
    return ItemVector(np.array(values, dtype="<f4").tobytes(), model, version)


def picture(name: bytes = b"") -> UndescribedPicture:
    """Return a picture that the stand-in vision service understands; its label is the name."""
    return UndescribedPicture(PNG + name, "image/png")


class StandInModels:
    """Implements `ContentModels`: the vector of a text is its length, the label of a picture what follows the PNG mark.

    Attributes:
        text_down, vision_down: let the service fail as one that is not there.
        delay_seconds: time each call takes.
        calls: number of inputs of each call.
    """

    def __init__(self) -> None:
        self.text_down = False
        self.vision_down = False
        self.delay_seconds = 0.0
        self.calls: list[int] = []
        self.texts: list[str] = []

    async def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Refuse texts that say so, embed the others."""
        await self._call(len(texts), self.text_down)
        if any("poison" in text for text in texts):
            raise InvalidRequest([FieldViolation("texts[0]", "is poison")])
        self.texts.extend(texts)
        return TextVectors([vector(len(text)).values for text in texts], "sentences", "1")

    async def describe_pictures(self, pictures: Sequence[UndescribedPicture]) -> Sequence[DescribedPicture]:
        """Refuse pictures that say so, describe the others."""
        await self._call(len(pictures), self.vision_down)
        for index, entry in enumerate(pictures):
            if b"broken" in entry.content:
                raise InvalidRequest([FieldViolation(f"images[{index}].content", "is truncated")])
        return [
            DescribedPicture((entry.content[len(PNG) :].decode(),), vector(1, 2, model="pixels")) for entry in pictures
        ]

    async def _call(self, count: int, down: bool) -> None:
        self.calls.append(count)
        await asyncio.sleep(self.delay_seconds)
        if down:
            raise Unavailable("SERVICE_DOWN", "connection refused")


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds, at most five seconds."""
    async with asyncio.timeout(5):
        while not await condition():  # what is waited for has no event to offer
            await asyncio.sleep(0.01)


def rpc_error(code: grpc.StatusCode, details: bytes | None = None) -> grpc.aio.AioRpcError:
    """Return the error of a call, with `grpc-status-details-bin` when given."""
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", details)) if details else grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers)
