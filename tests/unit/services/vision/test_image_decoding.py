from __future__ import annotations

import io
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.vision.pipelines.image_container import (
    MAX_JPEG_SCANS,
    MAX_JPEG_SEGMENTS,
    MAX_PNG_CHUNKS,
    read_container,
)
from services.vision.pipelines.image_decoding import ImageLimits, ImageRefused, SquareCrop, decode_image

PICTURES = Path(__file__).parents[3] / "data" / "pictures"
# Damaged tags are ignored on purpose, here as in the service.
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\..*")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
WHOLE = SquareCrop(side=32, resize_side=32)


def encoded(image: Image.Image, picture_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **options)
    return buffer.getvalue()


def quadrants(mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (2, 2))
    for place, colour in zip(((0, 0), (1, 0), (0, 1), (1, 1)), (RED, GREEN, BLUE, WHITE), strict=True):
        image.putpixel(place, colour)
    return image.resize(size, Image.Resampling.NEAREST).convert(mode)


def corners(data: bytes) -> list[tuple[int, ...]]:
    """The colours in the four quadrants of the decoded picture, rounded to 0 or 255."""
    pixels = decode_image(data, crop=WHOLE)
    return [tuple(int(value > 127) * 255 for value in pixels[y, x]) for y, x in ((4, 4), (4, 27), (27, 4), (27, 27))]


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def refusal(data: bytes, limits: ImageLimits | None = None, declared_type: str = "") -> ImageRefused:
    with pytest.raises(ImageRefused) as caught:
        decode_image(data, limits or ImageLimits(), declared_type)
    assert caught.value.description
    return caught.value


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp", "photographer.jpg"])
def test_real_pictures_become_a_square_of_rgb(name: str) -> None:
    pixels = decode_image((PICTURES / name).read_bytes())

    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.std() > 20


def test_the_three_formats_show_the_same_picture() -> None:
    jpeg, palette_png, webp = (
        decode_image((PICTURES / f"cat.{suffix}").read_bytes()).astype(float) for suffix in ("jpg", "png", "webp")
    )

    assert np.abs(jpeg - webp).mean() < 4
    assert np.abs(jpeg - palette_png).mean() < 8


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
def test_colours_and_places_are_kept(picture_format: str) -> None:
    assert corners(encoded(quadrants(), picture_format)) == [RED, GREEN, BLUE, WHITE]


def test_the_middle_is_cut_out() -> None:
    image = Image.new("RGB", (96, 32), RED)
    image.paste(Image.new("RGB", (32, 32), GREEN), (32, 0))

    pixels = decode_image(encoded(image, "PNG"), crop=WHOLE)

    assert (pixels[:, 2:-2] == GREEN).all()


def test_the_border_is_left_out() -> None:
    image = Image.new("RGB", (256, 256), RED)
    image.paste(Image.new("RGB", (224, 224), GREEN), (16, 16))

    assert (decode_image(encoded(image, "PNG")) == GREEN).all()


def test_a_large_jpeg_decoded_at_reduced_scale_looks_like_the_whole_one() -> None:
    with Image.open(PICTURES / "pagoda.jpg") as opened:
        large = opened.resize((2400, 1600), Image.Resampling.LANCZOS)
    reduced, whole = decode_image(encoded(large, "JPEG", quality=92)), decode_image(encoded(large, "PNG"))

    assert np.abs(reduced.astype(float) - whole).mean() < 2


# --- what pictures may be ------------------------------------------------------------------------------------------


def test_cmyk_jpeg() -> None:
    assert corners(encoded(quadrants("CMYK"), "JPEG", quality=95)) == [RED, GREEN, BLUE, WHITE]


def test_grey_pictures_have_three_equal_channels() -> None:
    for picture_format in ("JPEG", "PNG"):
        pixels = decode_image(encoded(quadrants("L"), picture_format))
        assert (pixels[..., 0] == pixels[..., 1]).all()
        assert (pixels[..., 0] == pixels[..., 2]).all()


def test_black_and_white_png() -> None:
    pixels = decode_image(encoded(Image.new("1", (40, 40), 1), "PNG"))

    assert (pixels == 255).all()


def test_16_bit_png_is_scaled_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65_535, 64).astype(np.uint16), (64, 1))

    pixels = decode_image(encoded(Image.fromarray(ramp), "PNG"), crop=WHOLE)

    assert pixels[0, 0, 0] < 8
    assert 120 < pixels[0, 16, 0] < 136
    assert pixels[0, -1, 0] > 247


def test_palette_png_with_a_transparent_colour_is_shown_on_white() -> None:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 32, 64))

    assert corners(encoded(image, "PNG", transparency=0)) == [WHITE, BLUE, WHITE, BLUE]


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
def test_transparent_parts_are_shown_on_white(picture_format: str) -> None:
    image = quadrants("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 32, 64))

    assert corners(encoded(image, picture_format)) == [WHITE, GREEN, WHITE, WHITE]


def test_invisible_colour_does_not_bleed() -> None:
    checks = np.zeros((64, 64, 4), np.uint8)
    checks[..., 0] = 255  # Red everywhere, but seen in no pixel.
    checks[::2, ::2] = (0, 0, 255, 255)

    pixels = decode_image(encoded(Image.fromarray(checks), "PNG"), crop=WHOLE)

    assert (pixels[..., 0].astype(int) <= pixels[..., 1].astype(int) + 1).all()


def test_grey_png_with_alpha() -> None:
    assert corners(encoded(Image.new("LA", (64, 64), (0, 0)), "PNG")) == [WHITE] * 4


@pytest.mark.parametrize("picture_format", ["WEBP", "PNG"])
def test_first_frame_of_an_animation(picture_format: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in (RED, GREEN, BLUE)]

    data = encoded(frames[0], picture_format, save_all=True, append_images=frames[1:], duration=50)

    assert corners(data) == [RED] * 4


@pytest.mark.parametrize(
    ("orientation", "transpose"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_tag_is_applied(picture_format: str, orientation: int, transpose: Image.Transpose) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation

    assert corners(encoded(quadrants().transpose(transpose), picture_format, exif=tags)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_an_unknown_orientation_is_ignored(value: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = value

    assert corners(encoded(quadrants(), "JPEG", exif=tags)) == [RED, GREEN, BLUE, WHITE]


def test_damaged_tags_are_ignored() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x00\x00")

    assert corners(data) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("size", [(1, 1), (1, 4_000), (4_000, 1), (2, 3), (16_383, 1)])
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
def test_tiny_and_extreme_sizes(picture_format: str, size: tuple[int, int]) -> None:
    pixels = decode_image(encoded(Image.new("RGB", size, GREEN), picture_format))

    assert pixels.shape == (224, 224, 3)
    assert pixels[..., 1].min() > 200


@pytest.mark.parametrize("declared", ["", "image/jpeg", "IMAGE/JPEG", "image/jpg", "image/jpeg; charset=binary"])
def test_a_declared_type_that_fits(declared: str) -> None:
    assert decode_image((PICTURES / "cat.jpg").read_bytes(), declared_type=declared).shape == (224, 224, 3)


# --- what is refused -----------------------------------------------------------------------------------------------


def test_no_bytes() -> None:
    assert refusal(b"").reason == "IMAGE_EMPTY"


def test_too_many_bytes() -> None:
    error = refusal((PICTURES / "cat.jpg").read_bytes(), ImageLimits(max_bytes=1_000))

    assert error.reason == "IMAGE_TOO_LARGE"
    assert "1000" in error.description


@pytest.mark.parametrize("picture_format", ["GIF", "BMP", "TIFF", "ICO", "PPM", "TGA"])
def test_other_formats(picture_format: str) -> None:
    data = encoded(quadrants(), picture_format)

    assert refusal(data).reason == "IMAGE_FORMAT_UNSUPPORTED"
    assert refusal(data, declared_type="image/png").reason == "IMAGE_FORMAT_UNSUPPORTED"


def test_random_bytes() -> None:
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 8, 12, 100, 10_000):
        assert refusal(random.bytes(size)).reason == "IMAGE_FORMAT_UNSUPPORTED"


@pytest.mark.parametrize(
    ("name", "declared"),
    [("cat.png", "image/jpeg"), ("cat.jpg", "image/png"), ("cat.webp", "image/png"), ("cat.jpg", "text/plain")],
)
def test_mislabelled(name: str, declared: str) -> None:
    assert refusal((PICTURES / name).read_bytes(), declared_type=declared).reason == "IMAGE_MISLABELLED"


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99, -1])
def test_truncated(name: str, share: float) -> None:
    data = (PICTURES / name).read_bytes()
    kept = len(data) - 1 if share < 0 else int(len(data) * share)

    assert refusal(data[:kept]).reason == "IMAGE_TRUNCATED"


@pytest.mark.parametrize("length", range(3, 40))
def test_cut_within_the_header(length: int) -> None:
    for name in ("cat.jpg", "cat.png", "cat.webp"):
        reason = refusal((PICTURES / name).read_bytes()[:length]).reason
        assert reason in {"IMAGE_TRUNCATED", "IMAGE_FORMAT_UNSUPPORTED"}


def test_truncated_pixels_under_an_end_marker() -> None:
    pixels = zlib.compress(bytes(3 * 64 * 64))

    assert refusal(png(64, 64, png_chunk(b"IDAT", pixels[:10]))).reason in {"IMAGE_TRUNCATED", "IMAGE_CORRUPT"}
    assert refusal(png(64, 64)).reason in {"IMAGE_TRUNCATED", "IMAGE_CORRUPT"}


@pytest.mark.parametrize(
    "size", [(50_000, 50_000), (2**31 - 1, 2**31 - 1), (16_385, 1), (1, 16_385), (6_400, 6_400), (2**32 - 1, 1)]
)
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    bomb = png(*size, png_chunk(b"IDAT", zlib.compress(bytes(1_000_000))))

    started = time.perf_counter()
    error = refusal(bomb)

    assert time.perf_counter() - started < 0.1
    assert error.reason == "IMAGE_TOO_LARGE"
    assert "16384" in error.description
    assert "40000000" in error.description


def test_large_jpeg_and_webp_headers_are_refused_before_decoding() -> None:
    jpeg = bytearray(encoded(quadrants(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_535, 65_535)
    extended = struct.pack("<4sIB3x", b"VP8X", 10, 0) + b"\xff\xff\xff" + b"\xff\xff\xff"
    webp = b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended

    assert refusal(bytes(jpeg)).reason == "IMAGE_TOO_LARGE"
    assert refusal(webp).reason == "IMAGE_TOO_LARGE"


def test_limits_are_inclusive() -> None:
    data = encoded(Image.new("RGB", (40, 30)), "PNG")

    assert decode_image(data, ImageLimits(max_bytes=len(data), max_pixels=1_200, max_side=40)).shape == (224, 224, 3)
    assert refusal(data, ImageLimits(max_pixels=1_199)).reason == "IMAGE_TOO_LARGE"
    assert refusal(data, ImageLimits(max_side=39)).reason == "IMAGE_TOO_LARGE"


def test_a_size_of_zero() -> None:
    jpeg = bytearray(encoded(quadrants(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 7] = b"\x00\x00"

    assert refusal(png(0, 10)).reason == "IMAGE_CORRUPT"
    assert refusal(bytes(jpeg)).reason == "IMAGE_CORRUPT"


def test_two_sizes_in_one_picture() -> None:
    jpeg = encoded(quadrants(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    length = 2 + struct.unpack_from(">H", jpeg, frame + 2)[0]
    webp = encoded(quadrants(size=(200, 200)), "WEBP")
    extended = struct.pack("<4sIB3x", b"VP8X", 10, 0) + b"\x00\x00\x00" + b"\x00\x00\x00"

    assert refusal(jpeg[:frame] + jpeg[frame : frame + length] + jpeg[frame:]).reason == "IMAGE_CORRUPT"
    lying = b"RIFF" + struct.pack("<I", len(webp) - 8 + len(extended)) + b"WEBP" + extended + webp[12:]
    assert refusal(lying).reason == "IMAGE_CORRUPT"


def test_damaged_bytes_are_called_corrupt() -> None:
    data = bytearray((PICTURES / "cat.png").read_bytes())
    data[len(data) // 2] ^= 0xFF

    error = refusal(bytes(data))

    assert error.reason == "IMAGE_CORRUPT"
    assert "Error" not in error.description  # No library's words reach the caller.


def test_endless_structures_are_refused() -> None:
    jpeg = encoded(quadrants(), "JPEG", progressive=True)
    last_scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    comment = b"\xff\xfe\x00\x02"
    text = png_chunk(b"tEXt", b"a\x00b")

    for data in (
        jpeg[:-2] + last_scan * MAX_JPEG_SCANS + jpeg[-2:],
        jpeg[:2] + comment * MAX_JPEG_SEGMENTS + jpeg[2:],
        png(64, 64, text * MAX_PNG_CHUNKS),
    ):
        assert refusal(data).reason == "IMAGE_TOO_COMPLEX"


def test_text_and_profiles_of_a_png_never_reach_the_decoder() -> None:
    bomb = zlib.compress(bytes(60_000_000), 9)
    chunks = [png_chunk(kind, b"name\x00\x00" + bomb) for kind in (b"zTXt", b"iCCP")]
    pixels = zlib.compress(bytes((3 * 8 + 1) * 8))
    data = png(8, 8, *chunks, png_chunk(b"IDAT", pixels))

    assert bomb not in read_container(data).content
    assert decode_image(data).max() == 0


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp"])
def test_mutations_raise_nothing_else(name: str) -> None:
    original = (PICTURES / name).read_bytes()
    random = np.random.default_rng(len(original))

    outcomes = {_outcome(_mutated(original, random)) for _ in range(250)}

    assert len(outcomes) >= 3  # A run where all pass or all fail would show nothing.


def test_mutations_behind_right_checksums_raise_nothing_else() -> None:
    pixels = zlib.compress(bytes(range(3 * 32 + 1)) * 32)
    tags = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"eXIf", tags), (b"tRNS", bytes(6)), (b"PLTE", bytes(30)), (b"IDAT", pixels)]
    random = np.random.default_rng(1)

    outcomes = set()
    for _ in range(400):
        changed = [(kind, _mutated(content, random) if random.random() < 0.3 else content) for kind, content in chunks]
        body = b"".join(png_chunk(kind, content) for kind, content in changed)
        outcomes.add(_outcome(b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")))

    assert {"decoded", "IMAGE_CORRUPT"} <= outcomes


def _mutated(original: bytes, random: np.random.Generator) -> bytes:
    data = bytearray(original)
    for _ in range(int(random.integers(1, 6))):
        # Half of the damage goes into the first bytes, where the structure is.
        if not data:
            return random.bytes(4)
        place = int(random.integers(0, len(data) if random.random() < 0.5 else min(len(data), 400)))
        match int(random.integers(0, 4)):
            case 0:
                data[place] = int(random.integers(0, 256))
            case 1:
                data[place : place + int(random.integers(1, 50))] = b""
            case 2:
                data[place:place] = random.bytes(int(random.integers(1, 50)))
            case _:
                source = int(random.integers(0, len(data)))
                data[place : place + 32] = data[source : source + 32]
    return bytes(data)


def _outcome(data: bytes) -> str:
    try:
        decode_image(data, ImageLimits(max_pixels=4_000_000))
    except ImageRefused as error:
        return error.reason
    return "decoded"


def test_threads_get_the_answers_of_one_thread() -> None:
    files = [path.read_bytes() for path in sorted(PICTURES.glob("cat.*"))] * 8
    alone = [decode_image(data) for data in files]
    barrier = threading.Barrier(8)

    def decode(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
        barrier.wait()
        return decode_image(data)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files))

    assert all(np.array_equal(first, second) for first, second in zip(alone, together, strict=True))
