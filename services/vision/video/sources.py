"""Where the messages of a stream come from: a decoder that is fed while the upload goes on, or a file that is whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import grpc

from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError
from services.vision.video.container import Container, ContainerUnknown, LengthCheck, find_container
from services.vision.video.decoder import Decoder, DecoderPool, is_decoder_installed
from services.vision.video.decoding.messages import Ended, Message, Trouble
from services.vision.video.decoding.options import DecodingOptions
from services.vision.video.spool import SpoolSpace
from services.vision.video.upload import Upload


class VideoSource(Protocol):
    """A video as messages.

    Attributes:
        container: name of the container.
        spooled_because: see `Container`.
    """

    container: str
    spooled_because: str

    def messages(self) -> AsyncGenerator[Message, None]:
        """Yield `Opened` first and `Ended` last; to be closed when it is left early."""


class EncodedVideo:
    """An encoded video on its way through a decoder.

    Args:
        upload: its bytes.
        container: what they are.
        head: those that were read to find that out.
        pool: starts the decoder.
        space: disk for one that must be whole first.
        options: the decoder's work.
    """

    def __init__(
        self,
        upload: Upload,
        container: Container,
        chunks: AsyncIterator[bytes],
        pool: DecoderPool,
        space: SpoolSpace,
        options: DecodingOptions,
    ) -> None:
        self.container = container.name
        self.spooled_because = container.spooled_because
        self._upload = upload
        self._container = container
        self._chunks = chunks
        self._pool = pool
        self._space = space
        self._options = options

    async def messages(self) -> AsyncGenerator[Message, None]:
        """See `VideoSource`."""
        if self.spooled_because:
            spool = self._space.open()
            try:
                async for chunk in self._chunks:
                    await spool.append(chunk)
                options = replace(self._options, is_seekable=True)
                decoder = await self._pool.start(options, await spool.finish())
                try:
                    async for message in _listen(decoder):
                        yield message
                finally:
                    decoder.close()
            finally:
                spool.close()
        else:
            async with aclosing(self._streamed()) as messages:
                async for message in messages:
                    yield message

    async def _streamed(self) -> AsyncGenerator[Message, None]:
        length = LengthCheck(self._container)
        decoder = await self._pool.start(self._options)

        async def feed() -> None:
            try:
                async for chunk in self._chunks:
                    length.feed(chunk)
                    await decoder.feed(chunk)
                decoder.end_of_input()
            except BaseException:
                # What it still says is of no use, and whoever waits for it must wake up.
                decoder.close()
                raise

        feeder = asyncio.create_task(feed())
        try:
            async for message in _listen(decoder):
                for time in length.take_damage():
                    if time >= self._options.start:
                        yield Trouble(time, "VIDEO_CORRUPT", "the container is damaged here; the rest goes on")
                if isinstance(message, Ended):
                    if feeder.done():
                        feeder.result()
                    if feeder.done() and length.is_cut_short and not message.reason:
                        message = replace(  # noqa: PLW2901  # it is the last
                            message, reason="VIDEO_TRUNCATED", message="the video ends before the end that it announces"
                        )
                yield message
        finally:
            feeder.cancel()
            decoder.close()
            await asyncio.gather(feeder, return_exceptions=True)


async def open_video(upload: Upload, pool: DecoderPool, space: SpoolSpace, options: DecodingOptions) -> EncodedVideo:
    """Look at the first bytes of an encoded video and return it.

    Args:
        upload: its bytes.
        pool: starts the decoder.
        space: disk for one that must be whole first.
        options: the decoder's work; its demuxer is chosen here.

    Raises:
        InvalidRequest: it is in no container that is taken.
        ServiceError: there is no decoder in this environment, or all are at work.
    """
    if not is_decoder_installed():
        raise ServiceError(
            grpc.StatusCode.UNIMPLEMENTED,
            "VIDEO_DECODER_MISSING",
            "this service was installed without a video decoder: send single frames, or install marquee[video]",
        )
    if pool.is_full:
        raise too_many("video decoders", pool.maximum)
    chunks = upload.chunks()
    head = bytearray()
    container = None
    try:
        async for chunk in chunks:
            head += chunk
            container = find_container(head)
            if container is not None:
                break
        if not head:
            raise InvalidRequest([FieldViolation("chunk", "the video has no bytes")], "VIDEO_EMPTY")
        container = container or find_container(head, is_whole=True)
    except ContainerUnknown as error:
        raise InvalidRequest([FieldViolation("chunk", f"the video {error}")], "VIDEO_FORMAT_UNKNOWN") from error
    assert container is not None
    options = replace(options, demuxer=container.demuxer)
    return EncodedVideo(upload, container, _joined(bytes(head), chunks), pool, space, options)


def too_many(what: str, limit: int) -> ServiceError:
    """Return the refusal of one more than a limit."""
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TOO_MANY_STREAMS",
        f"all {limit:,} {what} of this replica are in use; try again later or elsewhere",
        metadata={"limit": str(limit)},
        retry_after_seconds=2.0,
        quota=(what, f"at most {limit:,}"),
    )


async def _joined(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield chunk


async def _listen(decoder: Decoder) -> AsyncGenerator[Message, None]:
    while True:
        message = await decoder.next_message()
        yield message
        if isinstance(message, Ended):
            return
