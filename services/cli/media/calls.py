"""Calls of MediaService."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import BinaryIO

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1.media_service_pb2_grpc import MediaServiceStub
from marquee_client import MarqueeClient
from marquee_client.options import EXPORT_TIMEOUT

CHUNK_BYTES = 256 << 10
"""Bytes of a message: small enough that answers to the clip's start come while its end is read."""


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in pieces, as fast as the server takes them."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def analyze_image(client: MarqueeClient, request: pb.AnalyzeImageRequest) -> pb.AnalyzeImageResponse:
    """Analyse one picture."""
    return client._call(MediaServiceStub(client._channel).AnalyzeImage, request, None)


def analyze_clip(
    client: MarqueeClient, start: pb.ClipStart, chunks: Iterator[bytes]
) -> Iterator[pb.AnalyzeClipResponse]:
    """Analyse a clip while it is read; leaving the loop stops the work."""
    requests = itertools.chain(
        [pb.AnalyzeClipRequest(start=start)], (pb.AnalyzeClipRequest(chunk=chunk) for chunk in chunks)
    )
    yield from client._stream(MediaServiceStub(client._channel).AnalyzeClip, requests, EXPORT_TIMEOUT)  # type: ignore[arg-type]
