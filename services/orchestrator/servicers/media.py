"""MediaService: checks requests and hands pictures and clips to what analyses them."""

from __future__ import annotations

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1.media_service_pb2_grpc import MediaServiceServicer
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from services.orchestrator.content.media.features import PICTURE_FEATURES
from services.orchestrator.content.media.image import ImageAnalyzer
from services.orchestrator.content.media.wishes import read_wish
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

LONGEST_CONTENT_TYPE = 100


class MediaServicer(MediaServiceServicer):
    """See media_service.proto for what the methods promise."""

    def __init__(self, images: ImageAnalyzer) -> None:
        self._images = images

    async def AnalyzeImage(self, request: pb.AnalyzeImageRequest, context: CallContext) -> pb.AnalyzeImageResponse:
        """Analyse one picture."""
        check = Violations()
        if not request.image:
            check.add("image", "is empty; it is required")
        check.text("content_type", request.content_type, minimum=0, maximum=LONGEST_CONTENT_TYPE)
        attach = request.attach if request.HasField("attach") else None
        wish = read_wish(check, "", request.features, PICTURE_FEATURES, request.options, attach)
        check.raise_if_any()
        image = vision_pb.Image(content=request.image, content_type=request.content_type)
        return await self._images.analyze(current_request().tenant, image, wish)
