"""What the vision service is asked."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from PIL import Image

from marquee.vision.v1 import vision_service_pb2 as pb
from tests.contract.cases import video
from tests.contract.cases.candidates import CandidateCases
from tests.contract.cases.kinds import (
    Answer,
    BadCall,
    Cases,
    GoodCall,
    IndependenceCase,
    invalid_text,
    unpack_vectors,
)
from tests.support.dummy_detector import NAME as DETECTOR

SERVICE = "/marquee.vision.v1.VisionService"
CLASSIFY, EMBED = f"{SERVICE}/ClassifyImage", f"{SERVICE}/EmbedImage"
DETECT = f"{SERVICE}/DetectObjects"
FACES, SCREEN = f"{SERVICE}/DetectFaces", f"{SERVICE}/ScreenImage"
RECOGNITION = ("efficientnet-lite0", "vit-atari-games", "vit-fashion-mnist")
_MODELS = Path(__file__).resolve().parents[3] / "services" / "vision" / "models"
MODELS = dict.fromkeys((*(path.name for path in _MODELS.iterdir()), DETECTOR), "1")
MESSAGE_LIMIT = 4 << 20
IMAGE_LIMIT = 1 << 20

_PICTURES = Path(__file__).resolve().parents[2] / "data" / "pictures"
PICTURES = [path.read_bytes() for path in sorted(_PICTURES.iterdir()) if path.suffix in {".jpg", ".png", ".webp"}]
# Few, since finding faces costs more than naming what is seen, and calls at once wait in a short queue.
PEOPLE = [(_PICTURES / f"{name}.jpg").read_bytes() for name in ("astronaut", "coffee", "officer")]
CAT, CAT_PNG = (_PICTURES / "cat.jpg").read_bytes(), (_PICTURES / "cat.png").read_bytes()


def images(contents: Sequence[bytes], content_type: str = "") -> list[pb.Image]:
    """Return pictures for a request."""
    return [pb.Image(content=content, content_type=content_type) for content in contents]


def classify(contents: Sequence[bytes], **options: Any) -> pb.ClassifyImageRequest:
    """Return a request for labels."""
    return pb.ClassifyImageRequest(images=images(contents), **options)


def embed(contents: Sequence[bytes], **options: Any) -> pb.EmbedImageRequest:
    """Return a request for vectors."""
    return pb.EmbedImageRequest(images=images(contents), **options)


def detect(contents: Sequence[bytes], **options: Any) -> pb.DetectObjectsRequest:
    """Return a request for objects, by the detector that the tests add to the service's own models."""
    return pb.DetectObjectsRequest(images=images(contents), **{"model": DETECTOR, **options})


def objects_of(reply: Any) -> list[Answer]:
    """Take the objects out of a reply: labels, then scores and edges."""
    return [
        Answer(
            labels=[one.label for one in result.objects],
            scores=[
                number
                for one in result.objects
                for number in (one.score, one.box.left, one.box.top, one.box.right, one.box.bottom)
            ],
        )
        for result in reply.results
    ]


def labels_of(reply: Any) -> list[Answer]:
    """Take the labels out of a reply."""
    return [
        Answer(labels=[one.label for one in result.labels], scores=[one.probability for one in result.labels])
        for result in reply.results
    ]


def find_faces(contents: Sequence[bytes]) -> pb.DetectFacesRequest:
    """Return a request for faces and what they show."""
    return pb.DetectFacesRequest(images=images(contents), expressions=True)


def screen(contents: Sequence[bytes]) -> pb.ScreenImageRequest:
    """Return a request for screening."""
    return pb.ScreenImageRequest(images=images(contents))


def faces_of(reply: Any) -> list[Answer]:
    """Take the faces out of a reply: what each shows, and how sure it is that it is one."""
    return [
        Answer(
            labels=[
                f"{number} {one.label}" for number, face in enumerate(result.faces) for one in face.expressions[:1]
            ],
            scores=[face.score for face in result.faces],
        )
        for result in reply.results
    ]


def screenings_of(reply: Any) -> list[Answer]:
    """Take the probabilities out of a reply."""
    return [Answer(labels=["not safe"], scores=[result.unsafe_probability]) for result in reply.results]


def png_header(width: int, height: int) -> bytes:
    """Return a PNG of a hundred bytes that promises `width` × `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def gif() -> bytes:
    """Return a good picture in a format that is not served."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "GIF")
    return buffer.getvalue()


def bad_pictures() -> dict[str, tuple[bytes, str]]:
    """Return pictures that must be refused, with the reason."""
    return {
        "a zero-byte picture": (b"", "IMAGE_EMPTY"),
        "a truncated JPEG": (CAT[: len(CAT) // 2], "IMAGE_TRUNCATED"),
        "a truncated PNG": (CAT_PNG[: len(CAT_PNG) // 2], "IMAGE_TRUNCATED"),
        "a picture that is text": (b"hello, I am a picture", "IMAGE_FORMAT_UNSUPPORTED"),
        "a GIF": (gif(), "IMAGE_FORMAT_UNSUPPORTED"),
        "a bomb by its sides": (png_header(60_000, 60_000), "IMAGE_TOO_LARGE"),
        "a bomb by its pixels": (png_header(16_000, 16_000), "IMAGE_TOO_LARGE"),
        "a picture of too many bytes": (CAT + bytes(IMAGE_LIMIT), "IMAGE_TOO_LARGE"),
    }


def cases() -> Cases:
    """Return everything the vision service is asked."""
    candidates = CandidateCases(f"{SERVICE}/GenerateCandidates", pb.GenerateCandidatesRequest, ["pictures"])
    good = [GoodCall("labels by the default", CLASSIFY, classify([CAT]), "efficientnet-lite0")]
    independence = []
    for model in RECOGNITION:
        good += [
            GoodCall(f"{model} labels", CLASSIFY, classify(PICTURES, model=model), model),
            GoodCall(
                f"{model} labels, a huge count", CLASSIFY, classify([CAT], model=model, top_count=2**31 - 1), model
            ),
            GoodCall(f"{model} vectors", EMBED, embed(PICTURES, model=model), model),
        ]
        independence += [
            IndependenceCase(
                f"{model} labels",
                CLASSIFY,
                classify(PICTURES, model=model),
                [classify([picture], model=model) for picture in PICTURES],
                labels_of,
            ),
            IndependenceCase(
                f"{model} vectors",
                EMBED,
                embed(PICTURES, model=model),
                [embed([picture], model=model) for picture in PICTURES],
                unpack_vectors,
            ),
        ]
    good += [
        GoodCall("objects", DETECT, detect(PICTURES, minimum_score=0.2), DETECTOR),
        GoodCall("objects, a huge count", DETECT, detect([CAT], top_count=2**31 - 1), DETECTOR),
    ]
    good += [
        # One picture: these are asked many times at once, and the networks are large for a test machine.
        GoodCall("screening", SCREEN, pb.ScreenImageRequest(images=images([CAT])), "open-nsfw"),
        GoodCall("faces", FACES, find_faces([CAT]), "centerface"),
    ]
    independence.append(
        IndependenceCase(
            "objects",
            DETECT,
            detect(PICTURES, minimum_score=0.2),
            [detect([picture], minimum_score=0.2) for picture in PICTURES],
            objects_of,
        )
    )
    independence += [
        IndependenceCase("faces", FACES, find_faces(PEOPLE), [find_faces([picture]) for picture in PEOPLE], faces_of),
        IndependenceCase("screening", SCREEN, screen(PEOPLE), [screen([picture]) for picture in PEOPLE], screenings_of),
    ]
    refused = [
        BadCall(name, CLASSIFY, classify([CAT, content]), field="images[1].content", reason=reason)
        for name, (content, reason) in bad_pictures().items()
    ]
    mislabelled = pb.ClassifyImageRequest(images=images([CAT], "image/png"))
    bad = [
        *refused,
        BadCall("a mislabelled picture", CLASSIFY, mislabelled, field="images[0].content_type"),
        BadCall("vectors of a zero-byte picture", EMBED, embed([b""]), field="images[0].content"),
        BadCall("objects of a zero-byte picture", DETECT, detect([CAT, b""]), field="images[1].content"),
        BadCall("objects of no picture", DETECT, detect([]), field="images"),
        BadCall("a negative count of objects", DETECT, detect([CAT], top_count=-1), field="top_count"),
        BadCall("a score above one", DETECT, detect([CAT], minimum_score=1.5), field="minimum_score"),
        BadCall("a score that is no number", DETECT, detect([CAT], minimum_score=float("nan")), field="minimum_score"),
        BadCall("objects by an unknown model", DETECT, detect([CAT], model="gpt"), grpc.StatusCode.NOT_FOUND, "model"),
        BadCall(
            "objects by a model that finds none",
            DETECT,
            detect([CAT], model="efficientnet-lite0"),
            grpc.StatusCode.NOT_FOUND,
            "model",
        ),
        BadCall("screening of no picture", SCREEN, pb.ScreenImageRequest(), field="images"),
        BadCall(
            "screening of a truncated picture",
            SCREEN,
            pb.ScreenImageRequest(images=images([CAT, CAT[:1_000]])),
            field="images[1].content",
            reason="IMAGE_TRUNCATED",
        ),
        BadCall("faces of no picture", FACES, pb.DetectFacesRequest(), field="images"),
        BadCall(
            "faces of a truncated picture",
            FACES,
            pb.DetectFacesRequest(images=images([CAT, CAT[:1_000]])),
            field="images[1].content",
            reason="IMAGE_TRUNCATED",
        ),
        BadCall("no picture", CLASSIFY, classify([]), field="images"),
        BadCall("vectors of no picture", EMBED, embed([]), field="images"),
        BadCall("17 pictures", CLASSIFY, classify([CAT] * 17), field="images"),
        BadCall("a negative count", CLASSIFY, classify([CAT], top_count=-1), field="top_count"),
        BadCall("a hugely negative count", CLASSIFY, classify([CAT], top_count=-(2**31)), field="top_count"),
        BadCall("an unknown model", CLASSIFY, classify([CAT], model="gpt"), grpc.StatusCode.NOT_FOUND, "model"),
        BadCall("vectors by an unknown model", EMBED, embed([CAT], model="gpt"), grpc.StatusCode.NOT_FOUND, "model"),
        BadCall(
            "a content type that is not UTF-8",
            CLASSIFY,
            invalid_text(pb.ClassifyImageRequest(images=images([b"x"], "@@"))),
            field="images[0].content_type",
        ),
        BadCall("bytes that are no message", EMBED, b"\xff\xff\xff\xff", field="request", reason="INVALID_MESSAGE"),
        BadCall(
            "an oversize message",
            CLASSIFY,
            classify([bytes(MESSAGE_LIMIT + 1)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "request",
            "MESSAGE_TOO_LARGE",
        ),
        BadCall(
            "a message that the transport refuses",
            CLASSIFY,
            classify([bytes(MESSAGE_LIMIT * 2 + 1)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
        BadCall("a passed deadline", CLASSIFY, classify([CAT]), grpc.StatusCode.DEADLINE_EXCEEDED, seconds=-1),
        BadCall(
            "a deadline that passes at work",
            CLASSIFY,
            classify([CAT] * 16),
            grpc.StatusCode.DEADLINE_EXCEEDED,
            seconds=0.005,
        ),
    ]
    return Cases(
        good=[*good, *video.good(), *candidates.good()],
        bad=[*bad, *video.bad(), *candidates.bad()],
        independence=[*independence, *candidates.independence()],
        scorers=["pictures"],
        models=MODELS,
        company=video.company(),
    )
