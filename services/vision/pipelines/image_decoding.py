"""Turns the bytes of an encoded picture into the pixels that a vision model looks at.

Every hostile or broken input ends in `ImageRefused`; see `decode_shaped` for the order of the checks. Nothing here
keeps state, so any number of threads may decode at once (the decoders release the interpreter lock). One decode needs
at most about 17 bytes of memory a pixel of the picture (WebP; PNG with alpha 10; a large JPEG is decoded at a reduced
scale), so the number of decoding threads times `ImageLimits.max_pixels` bounds the memory of a service.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.ExifTags import Base
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from services.vision.pipelines.image_container import (
    CONTENT_TYPES,
    ImageContainer,
    ImageFormat,
    ImageRefused,
    read_container,
    sniff_format,
)
from services.vision.pipelines.picture_shape import PictureShape, SquareCrop

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DecodedPicture", "ImageLimits", "ImageRefused", "SquareCrop", "decode_image", "decode_shaped"]

# Pillow warns of damaged tags. Python remembers each warning's text, and hostile tags make endless different texts.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# The classes themselves, not Image.open: no other format can be reached, and no process-wide setting is consulted.
_READERS: dict[ImageFormat, Callable[[io.BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What is refused before decoding.

    Attributes:
        max_bytes: Largest encoded picture, in bytes.
        max_pixels: Largest width times height, as stored.
        max_side: Largest width and largest height, in pixels.
    """

    max_bytes: int = 8 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_side: int = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPicture:
    """A picture as it is shown: orientation applied, transparent parts on white.

    Attributes:
        pixels: uint8[rows, columns, 3], RGB; the picture may have been scaled or cropped on the way.
        width: Columns of the picture itself, as shown.
        height: Rows of the picture itself, as shown.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


DEFAULT_LIMITS = ImageLimits()
DEFAULT_CROP = SquareCrop()


def decode_image(
    data: bytes,
    limits: ImageLimits = DEFAULT_LIMITS,
    declared_type: str = "",
    crop: SquareCrop = DEFAULT_CROP,
) -> NDArray[np.uint8]:
    """Decodes one JPEG, PNG or WebP picture to its middle square: uint8[side, side, 3], RGB; see `decode_shaped`."""
    return decode_shaped(data, crop, limits, declared_type).pixels


def decode_shaped(
    data: bytes, shape: PictureShape, limits: ImageLimits = DEFAULT_LIMITS, declared_type: str = ""
) -> DecodedPicture:
    """Decodes one JPEG, PNG or WebP picture.

    The checks go from cheap to expensive: length, format, declared type, container and size, pixels. The first frame of
    an animation is used, the orientation tag is applied, transparent parts are shown on white; grey, palette, CMYK and
    16-bit pictures become 8-bit RGB; colour profiles are ignored. Damage that a format has no checksum for, as in the
    middle of a JPEG, shows as wrong pixels, as it does everywhere else.

    Args:
        data: The file.
        shape: Size that the pixels are brought to.
        limits: What is too large.
        declared_type: Content type that the sender claims, for example "image/png"; empty trusts the bytes.

    Raises:
        ImageRefused: The picture cannot or must not be decoded; nothing else is ever raised for bad bytes.
    """
    if not data:
        raise ImageRefused("IMAGE_EMPTY", "the picture has no bytes; send the content of a JPEG, PNG or WebP file")
    if len(data) > limits.max_bytes:
        raise ImageRefused(
            "IMAGE_TOO_LARGE",
            f"the picture has {len(data)} bytes, the limit is {limits.max_bytes}; compress it more or scale it down",
        )
    _check_declared_type(sniff_format(data), declared_type)
    container = read_container(data)
    _check_size(container, limits)
    try:
        return _decode(container, shape)
    except ImageRefused:
        raise
    except MemoryError as error:
        raise ImageRefused(
            "IMAGE_TOO_LARGE", "the picture does not fit into the memory left; send a smaller one"
        ) from error
    except Exception as error:  # Pillow's parsers raise a dozen unrelated types on damaged bytes.
        raise _refusal_of(error, container.format) from error


def _check_declared_type(found: ImageFormat, declared_type: str) -> None:
    declared = declared_type.partition(";")[0].strip().lower()
    if declared == "image/jpg":
        declared = "image/jpeg"
    if declared and declared != CONTENT_TYPES[found]:
        raise ImageRefused(
            "IMAGE_MISLABELLED",
            f"the bytes are {CONTENT_TYPES[found]}, which is not the declared content type; "
            "declare the real type or leave it empty",
        )


def _check_size(container: ImageContainer, limits: ImageLimits) -> None:
    width, height = container.width, container.height
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise ImageRefused(
            "IMAGE_TOO_LARGE",
            f"the picture is {width} x {height} pixels; the limits are {limits.max_side} a side and "
            f"{limits.max_pixels} in all; scale it down",
        )


def _decode(container: ImageContainer, shape: PictureShape) -> DecodedPicture:
    width, height = container.width, container.height
    with _READERS[container.format](io.BytesIO(container.content)) as image:
        if image.size != (width, height):
            raise ImageRefused("IMAGE_CORRUPT", "the picture gives two different sizes; encode it again")
        orientation = _orientation_of(image)
        turned = orientation in _TURNS
        if isinstance(image, JpegImageFile):
            # The decoder can leave out high frequencies: 1/2, 1/4 or 1/8 of the size at a fraction of the cost.
            image.draft(None, shape.draft_size(width, height, turned))
        image.load()
        shaped = _to_rgb(image, lambda stored: shape.resize(stored, turned))
    if orientation in _ORIENTATIONS:
        shaped = shaped.transpose(_ORIENTATIONS[orientation])
    if turned:
        width, height = height, width
    return DecodedPicture(np.array(shaped, dtype=np.uint8), width, height)


def _orientation_of(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _to_rgb(image: Image.Image, resize: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        # Premultiplied while resampling, or the colour of invisible pixels would bleed into the visible ones.
        straight = image if image.mode == "RGBA" else image.convert("RGBA")
        small = resize(straight.convert("RGBa")).convert("RGBA")
        on_white = Image.new("RGB", small.size, "white")
        on_white.paste(small, mask=small.getchannel("A"))
        return on_white
    if image.mode.startswith("I"):
        # 16 bits a pixel; Pillow's own conversion would clip at 255 instead of scaling.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return resize(image if image.mode in ("L", "RGB") else image.convert("RGB")).convert("RGB")


def _refusal_of(error: Exception, image_format: ImageFormat) -> ImageRefused:
    if isinstance(error, OSError) and "truncated" in str(error):
        return ImageRefused(
            "IMAGE_TRUNCATED", f"the {image_format} picture ends before its last pixel; send the whole file"
        )
    return ImageRefused(
        "IMAGE_CORRUPT",
        f"the {image_format} picture cannot be decoded; check that it opens elsewhere, or encode it again",
    )
