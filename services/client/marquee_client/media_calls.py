"""The synchronous client's calls of MediaService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Unpack

import grpc

from marquee.entertainment.v1 import media_service_pb2 as media_pb
from marquee.entertainment.v1.media_service_pb2_grpc import MediaServiceStub
from marquee_client.error_mapping import REQUEST_ID_KEY, error_from
from marquee_client.media import ClipLike, ClipWishes, MediaWishes, PictureLike, clip_pieces, clip_start, picture_bytes
from marquee_client.options import EXPORT_TIMEOUT, new_request_id
from marquee_client.writing_calls import WritingCalls


class MediaCalls(WritingCalls):
    """Pictures and clips."""

    def _open_stubs(self) -> None:
        super()._open_stubs()
        self._media = MediaServiceStub(self._channel)

    def analyze_image(
        self,
        image: PictureLike,
        *,
        features: Iterable[media_pb.MediaFeature.ValueType] = (),
        content_type: str = "",
        attach: media_pb.MediaAttachment | None = None,
        timeout: float | None = None,
        **wishes: Unpack[MediaWishes],
    ) -> media_pb.AnalyzeImageResponse:
        """Say what a picture shows, whether it may be shown, and what looks alike; `attach` makes it part of an item.

        Everything but faces when no feature is named. A feature that could not answer is named in the analysis.
        """
        request = media_pb.AnalyzeImageRequest(
            image=picture_bytes(image),
            content_type=content_type,
            features=features,
            options=media_pb.MediaOptions(**wishes),
            attach=attach,
        )
        return self._call(self._media.AnalyzeImage, request, timeout)

    def analyze_clip(
        self,
        clip: ClipLike,
        *,
        features: Iterable[media_pb.MediaFeature.ValueType] = (),
        attach: media_pb.MediaAttachment | None = None,
        timeout: float = EXPORT_TIMEOUT,
        **wishes: Unpack[ClipWishes],
    ) -> Iterator[media_pb.AnalyzeClipResponse]:
        """Analyse a clip while it is sent, a piece at a time; answers come as they are known, the summary last.

        Whoever reads slowly slows the upload, and whoever leaves the loop ends it.
        """
        request_id = self._request_id or new_request_id()
        start = clip_start(features, attach, wishes)
        failures: list[Exception] = []
        pieces = clip_pieces(clip)

        def requests() -> Iterator[media_pb.AnalyzeClipRequest]:
            yield start
            try:
                for piece in pieces:
                    yield media_pb.AnalyzeClipRequest(chunk=piece)
            except Exception as error:
                failures.append(error)
                raise

        call = self._media.AnalyzeClip(requests(), timeout=timeout, metadata=((REQUEST_ID_KEY, request_id),))
        try:
            yield from call
        except grpc.RpcError as error:
            if failures:
                raise failures[0] from error
            raise error_from(error, request_id) from error
        finally:
            call.cancel()  # the caller may have stopped before the end
            # A read that is still under way on its thread holds the file; it is let go when that ends.
            with suppress(ValueError):
                pieces.close()
