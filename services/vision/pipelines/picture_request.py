"""The pictures of a request: how many there may be, what identifies them, which of them is refused."""

from __future__ import annotations

from collections.abc import Sequence

from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.validation import Violations
from services.vision.pipelines.image_decoding import DecodedPicture, ImageLimits, ImageRefused, decode_shaped
from services.vision.pipelines.picture import reshape
from services.vision.pipelines.picture_shape import PictureShape

MAXIMUM_IMAGES = 16

Picture = pb.Image | DecodedPicture
"""What picture models take: a file, or pixels that were decoded before."""


def check_images(check: Violations, images: Sequence[pb.Image]) -> None:
    """Check the number of pictures; each picture is checked when it is decoded."""
    check.count("images", images, minimum=1, maximum=MAXIMUM_IMAGES)


def images_key(images: Sequence[pb.Image]) -> bytes:
    """Return canonical bytes of pictures, for the response cache."""
    parts = [image.SerializeToString(deterministic=True) for image in images]
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def read_picture(index: int, picture: Picture, limits: ImageLimits, shape: PictureShape) -> DecodedPicture:
    """Return the pixels of the picture at `index` of a request, in the shape of a model.

    Raises:
        InvalidRequest: the picture cannot be used; names its field.
    """
    if isinstance(picture, DecodedPicture):
        return reshape(picture, shape)
    try:
        return decode_shaped(picture.content, shape, limits, picture.content_type)
    except ImageRefused as error:
        field = "content_type" if error.reason == "IMAGE_MISLABELLED" else "content"
        violation = FieldViolation(f"images[{index}].{field}", error.description)
        raise InvalidRequest([violation], error.reason) from error
