from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from services.vision.pipelines.image_decoding import ImageLimits, ImageRefused, decode_image, decode_shaped
from services.vision.pipelines.picture import DecodedPicture, decode_picture, decode_stretched, reshape
from services.vision.pipelines.picture_shape import BoundedSides, SquareCrop, Stretch, shape_of

PICTURES = Path(__file__).parents[3] / "data" / "pictures"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def quadrants(mode: str = "RGB", size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Red and green above, blue and white below, wider than high."""
    image = Image.new("RGB", (2, 2))
    for place, colour in zip(((0, 0), (1, 0), (0, 1), (1, 1)), (RED, GREEN, BLUE, WHITE), strict=True):
        image.putpixel(place, colour)
    return image.resize(size, Image.Resampling.NEAREST).convert(mode)


def corners(pixels: Any) -> list[tuple[int, ...]]:
    """The colours of the four quadrants, each channel rounded to 0 or 255."""
    high, wide = pixels.shape[0] - 5, pixels.shape[1] - 5
    return [tuple(int(value > 127) * 255 for value in pixels[y, x]) for y in (4, high) for x in (4, wide)]


def test_a_picture_keeps_its_size_and_colours() -> None:
    picture = decode_picture(encoded(quadrants()))

    assert (picture.width, picture.height, picture.pixels.shape) == (64, 32, (32, 64, 3))
    assert picture.pixels.dtype == numpy.uint8
    assert (picture.pixels == numpy.asarray(quadrants())).all()


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((64, 32), 32, (32, 16)), ((32, 64), 32, (16, 32)), ((64, 32), 64, (64, 32)), ((1000, 1), 10, (10, 1))],
)
def test_a_large_picture_is_scaled_down_in_its_proportions(
    size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    picture = decode_picture(encoded(quadrants(size=size)), maximum_side=side)

    assert (picture.width, picture.height) == size
    assert (picture.pixels.shape[1], picture.pixels.shape[0]) == expected


@pytest.mark.parametrize("orientation", TRANSPOSES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_size_and_stretch_are_those_of_the_picture_as_shown(kind: str, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    content = encoded(quadrants(size=(96, 48)).transpose(TRANSPOSES[orientation]), kind, exif=tags)

    for picture in (
        decode_picture(content),
        decode_stretched(content, 48, 96),
        decode_picture(content, maximum_side=48),
    ):
        assert (picture.width, picture.height) == (96, 48)
        assert picture.pixels.shape[1] == 2 * picture.pixels.shape[0]
        assert corners(picture.pixels) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "LA", "RGBA"])
def test_every_kind_of_picture_becomes_rgb(mode: str) -> None:
    content = encoded(quadrants(mode), "JPEG" if mode == "CMYK" else "PNG")

    assert decode_picture(content).pixels.shape == (32, 64, 3)
    assert decode_stretched(content, 10, 20).pixels.shape == (10, 20, 3)


def test_16_bits_are_scaled_and_transparent_parts_white() -> None:
    ramp = numpy.tile(numpy.linspace(0, 65_535, 64).astype(numpy.uint16), (64, 1))
    see_through = quadrants("RGBA")
    see_through.paste((0, 0, 0, 0), (0, 0, 64, 16))

    assert decode_picture(encoded(Image.fromarray(ramp))).pixels[0, [0, -1], 0].tolist() == [0, 255]
    assert corners(decode_picture(encoded(see_through)).pixels) == [WHITE, WHITE, BLUE, WHITE]


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]

    content = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)

    assert (decode_picture(content).pixels == RED).all()


def test_a_large_jpeg_decoded_at_reduced_scale_looks_like_the_whole_one() -> None:
    with Image.open(PICTURES / "pagoda.jpg") as opened:
        large = opened.resize((2400, 1600), Image.Resampling.LANCZOS)
    jpeg, whole = encoded(large, "JPEG", quality=92), encoded(large)

    for reduced, full in (
        (decode_picture(jpeg, maximum_side=300), decode_picture(whole, maximum_side=300)),
        (decode_stretched(jpeg, 200, 200), decode_stretched(whole, 200, 200)),
    ):
        assert (reduced.width, reduced.height) == (2400, 1600)
        assert numpy.abs(reduced.pixels.astype(float) - full.pixels).mean() < 2


def test_refusals_are_those_of_every_picture() -> None:
    good = encoded(quadrants())
    for content, limits, declared, reason in (
        (b"", ImageLimits(), "", "IMAGE_EMPTY"),
        (b"text", ImageLimits(), "", "IMAGE_FORMAT_UNSUPPORTED"),
        (good[:-20], ImageLimits(), "", "IMAGE_TRUNCATED"),
        (good, ImageLimits(max_pixels=2_047), "", "IMAGE_TOO_LARGE"),
        (good, ImageLimits(), "image/webp", "IMAGE_MISLABELLED"),
    ):
        for decode in (decode_picture, lambda *given: decode_stretched(given[0], 8, 8, *given[1:])):
            with pytest.raises(ImageRefused) as caught:
                decode(content, limits, declared)
            assert caught.value.reason == reason


@pytest.mark.parametrize("shape", [SquareCrop(32, 36), Stretch(20, 30), BoundedSides(40), BoundedSides(400, 80)])
def test_decoded_pixels_are_shaped_like_a_file_of_them(shape: Any) -> None:
    with Image.open(PICTURES / "cat.jpg") as opened:
        image = opened.convert("RGB").resize((120, 90))
    decoded = DecodedPicture(numpy.asarray(image), 120, 90)

    from_file, from_pixels = decode_shaped(encoded(image), shape), reshape(decoded, shape)

    assert (from_file.pixels == from_pixels.pixels).all()
    assert (from_pixels.width, from_pixels.height) == (120, 90)


@pytest.mark.parametrize(
    "pixels", [numpy.zeros((4, 4, 3)), numpy.zeros((4, 4), "uint8"), numpy.zeros((0, 4, 3), "uint8")]
)
def test_pixels_of_another_form_are_refused(pixels: Any) -> None:
    with pytest.raises(ValueError, match="not uint8"):
        reshape(DecodedPicture(pixels, 4, 4), Stretch(2, 2))


def test_shapes_are_read_from_the_limits_of_a_model() -> None:
    assert shape_of({"side": 224, "resize_side": 256}) == SquareCrop(224, 256)
    assert shape_of({"side": 96, "resize_side": 0}) == Stretch(96, 96)
    assert shape_of({"height": 240, "width": 320, "resample": 2}) == Stretch(240, 320, Image.Resampling.BILINEAR)
    assert shape_of({"shortest_side": 800, "longest_side": 1333}) == BoundedSides(1333, 800)
    assert shape_of({"shortest_side": 8, "longest_side": 9, "multiple": 4}) == BoundedSides(9, 8, multiple=4)
    assert BoundedSides(128, 96, multiple=16).size(320, 213) == (128, 80)
    assert BoundedSides(128, 96, multiple=16).size(320, 1) == (128, 16)
    assert BoundedSides(1333, 800).size(640, 480) == (1067, 800)
    assert BoundedSides(1333, 800).size(2000, 500) == (1333, 333)


def test_the_square_of_a_stretch_shows_the_ends_that_a_crop_leaves_out() -> None:
    image = Image.new("RGB", (96, 32), RED)
    image.paste(Image.new("RGB", (32, 32), GREEN), (32, 0))
    content = encoded(image)

    assert (decode_image(content, crop=SquareCrop(32, 32))[:, 2:-2] == GREEN).all()
    assert (decode_stretched(content, 32, 32).pixels[:, [0, -1]] == RED).all()
