"""Pictures as they come from the world: unusual ones that must be answered, and bad ones that must be refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy
from PIL import Image

from marquee.vision.v1 import vision_service_pb2 as pb

SIZE = (48, 32)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the file of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str = "RGB", colour: Any = (250, 10, 10), size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a red picture."""
    return Image.new("RGB", size, colour).convert(mode)


def unusual_pictures() -> dict[str, bytes]:
    """Return pictures that must be answered, by what is unusual."""
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = Image.fromarray(numpy.full((SIZE[1], SIZE[0]), 60_000, numpy.uint16))
    frames = [plain(), plain(colour=(0, 0, 250))]
    return {
        "one pixel": encoded(plain(size=(1, 1))),
        "a line": encoded(plain(size=(2_000, 1)), "JPEG"),
        "CMYK": encoded(plain("CMYK"), "JPEG"),
        "a palette": encoded(plain("P")),
        "16 bits": encoded(deep),
        "grey with alpha": encoded(plain("LA")),
        "alpha": encoded(plain("RGBA"), "WEBP"),
        "an animation": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "an animated PNG": encoded(frames[0], save_all=True, append_images=frames[1:]),
        "turned": encoded(plain(), "JPEG", exif=turned),
        "progressive": encoded(plain(), "JPEG", progressive=True),
        "a picture that goes on as an archive": encoded(plain(), "JPEG") + b"PK\x03\x04" + bytes(200),
        "a picture that holds a script": encoded(plain(), "JPEG", comment=b"<script>alert(1)</script>"),
    }


def bad_pictures() -> dict[str, tuple[pb.Image, str, str]]:
    """Return pictures that must be refused, by what is wrong: the picture, the reason, and the field of it."""
    good = encoded(plain(), "JPEG")
    bad = {
        "no bytes": (b"", "IMAGE_EMPTY"),
        "text": (b"hello, I am a picture", "IMAGE_FORMAT_UNSUPPORTED"),
        "a GIF": (encoded(plain("P"), "GIF"), "IMAGE_FORMAT_UNSUPPORTED"),
        "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "IMAGE_FORMAT_UNSUPPORTED"),
        "an archive that goes on as a picture": (b"PK\x03\x04" + good, "IMAGE_FORMAT_UNSUPPORTED"),
        "a truncated JPEG": (good[: len(good) // 2], "IMAGE_TRUNCATED"),
        "a truncated PNG": (encoded(plain())[:-20], "IMAGE_TRUNCATED"),
        "a header alone": (good[:4], "IMAGE_TRUNCATED"),
        "20,000 × 20,000 pixels": (huge_png(20_000, 20_000), "IMAGE_TOO_LARGE"),
        "more pixels than the limit": (huge_png(8_000, 8_000), "IMAGE_TOO_LARGE"),
        "wrong checksums": (encoded(plain())[:-16] + bytes(16), "IMAGE_CORRUPT"),
    }
    found = {name: (pb.Image(content=content), reason, "content") for name, (content, reason) in bad.items()}
    found["another type than declared"] = (
        pb.Image(content=good, content_type="image/png"),
        "IMAGE_MISLABELLED",
        "content_type",
    )
    found["a type that is none"] = (
        pb.Image(content=good, content_type="application/pdf"),
        "IMAGE_MISLABELLED",
        "content_type",
    )
    return found


def huge_png(width: int, height: int) -> bytes:
    """Return a PNG of a hundred bytes that promises `width` × `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
