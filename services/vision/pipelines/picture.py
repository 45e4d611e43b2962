"""Pictures for models, whether they arrive encoded or were decoded before, as the sampled frames of a video are."""

from __future__ import annotations

import numpy
from PIL import Image

from services.vision.pipelines.image_decoding import DEFAULT_LIMITS, DecodedPicture, ImageLimits, decode_shaped
from services.vision.pipelines.picture_shape import BoundedSides, PictureShape, Stretch

__all__ = ["DecodedPicture", "decode_picture", "decode_stretched", "reshape"]

_AXES = _CHANNELS = 3


def decode_picture(
    content: bytes, limits: ImageLimits = DEFAULT_LIMITS, declared_type: str = "", maximum_side: int = 4_096
) -> DecodedPicture:
    """Decode a whole JPEG, PNG or WebP picture in its own proportions.

    Args:
        content: the file.
        limits: what is too large.
        declared_type: content type that the sender claims; empty trusts the bytes.
        maximum_side: a picture whose longer side is longer than this many pixels is scaled down to it.

    Raises:
        ImageRefused: the picture cannot or must not be decoded, see `decode_shaped`.
    """
    return decode_shaped(content, BoundedSides(maximum_side), limits, declared_type)


def decode_stretched(
    content: bytes, height: int, width: int, limits: ImageLimits = DEFAULT_LIMITS, declared_type: str = ""
) -> DecodedPicture:
    """Decode a whole picture to uint8[height, width, 3], whatever its proportions; otherwise like `decode_picture`."""
    return decode_shaped(content, Stretch(height, width), limits, declared_type)


def reshape(picture: DecodedPicture, shape: PictureShape) -> DecodedPicture:
    """Bring a decoded picture into the shape that a model looks at, as decoding it into that shape would.

    Raises:
        ValueError: its pixels are not uint8[rows, columns, 3] with at least one of each.
    """
    pixels = picture.pixels
    if pixels.dtype != numpy.uint8 or pixels.ndim != _AXES or pixels.shape[-1] != _CHANNELS or not pixels.size:
        raise ValueError(f"pixels are {pixels.dtype}{list(pixels.shape)}, not uint8[rows, columns, 3]")
    shaped = shape.resize(Image.fromarray(pixels), turned=False)
    return DecodedPicture(numpy.array(shaped, dtype=numpy.uint8), picture.width, picture.height)
