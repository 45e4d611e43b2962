"""Memory of each service after few and after many mixed requests: what grows with requests is a leak."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from marquee.text.v1 import text_service_pb2 as text
from marquee.vision.v1 import vision_service_pb2 as vision
from tests.load.benchmark.generator import Order
from tests.load.benchmark.load import offer, write_requests
from tests.load.benchmark.results import Failure, Journal
from tests.load.benchmark.server_process import ServerFailed
from tests.load.benchmark.systems import MarqueeWhole
from tests.load.benchmark.workloads import (
    CLASSIFY_IMAGE,
    EMBED_TEXT,
    MODEL_INFER,
    Workload,
    infer_request,
)

WORKLOADS = ("trivial", "forest", "minilm", "minilm-text", "cnn-jpeg")
Call = tuple[str, bytes, float]

SHARES = {"classical": 0.6, "text": 0.36, "vision": 0.04}
"""Of all requests: most go where a request is cheap, so that half a million end within minutes."""


@dataclass(frozen=True)
class Growth:
    """Resident memory of one service, in bytes, after the first and after all requests."""

    service: str
    first_requests: int
    first_bytes: int
    all_requests: int
    all_bytes: int
    codes: dict[str, int]


def run(known: dict[str, Workload], journal: Journal, first: int, total: int, say: Callable[[str], None]) -> None:
    """Send `first` requests to the services, read their memory, go on up to `total`, read again."""
    system = MarqueeWhole()
    found = []
    try:
        system.start(list(known.values()))
        for service, share in SHARES.items():
            say(f"memory: {round(total * share):,} requests to {service}")
            found.append(
                asdict(_growth(system, service, _calls(service, known), round(first * share), round(total * share)))
            )
    except ServerFailed as error:
        journal.add(Failure("memory", "mixed", 0, str(error)))
    finally:
        system.stop()
    journal.add_part("memory", found)


def _growth(system: MarqueeWhole, service: str, calls: Sequence[Call], first: int, total: int) -> Growth:
    process = system.service(service)
    codes: dict[str, int] = {}
    readings: list[int] = []
    with tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as folder:
        files = write_requests(Path(folder), [request for _, request, _ in calls])
        listed = [(method, str(file), weight) for (method, _, weight), file in zip(calls, files, strict=True)]
        for count in (first, total - first):
            order = Order(process.address, listed, count=count, warmup_seconds=0.0, seed=len(readings))
            outcome = offer(order, process.tree).outcome
            readings.append(process.tree.memory().resident)
            for code, times in {"OK": outcome.answered, **outcome.refused}.items():
                codes[code] = codes.get(code, 0) + len(times)
    return Growth(service, first, readings[0], total, readings[1], codes)


def _calls(service: str, known: dict[str, Workload]) -> list[Call]:
    """Return good and bad requests of one service, with weights."""
    unknown: Call = (MODEL_INFER, infer_request("no-such-model", known["trivial"].tensors[0]), 1.0)
    if service == "classical":
        wrong = (MODEL_INFER, infer_request(known["forest"].model.name, known["trivial"].tensors[0]), 2.0)
        good = [(MODEL_INFER, one, 1.0) for name in ("trivial", "forest") for one in known[name].requests()]
        return [*good, wrong, unknown, (MODEL_INFER, b"\xff\xff\xff", 1.0)]
    if service == "text":
        short = [text.EmbedTextRequest(texts=[str(one)], model="word-embedding") for one in known["minilm-text"].raw]
        bad = [
            text.EmbedTextRequest(),
            text.EmbedTextRequest(texts=[" "]),
            text.EmbedTextRequest(texts=["a"], model="b"),
        ]
        return [
            *((EMBED_TEXT, one.SerializeToString(), 2.5) for one in short),
            *((EMBED_TEXT, one, 0.25) for one in known["minilm-text"].requests()),
            *((MODEL_INFER, one, 0.25) for one in known["minilm"].requests()),
            *((EMBED_TEXT, one.SerializeToString(), 1.0) for one in bad),
            unknown,
        ]
    files = [one for one in known["cnn-jpeg"].raw if isinstance(one, bytes)]
    broken = [vision.Image(content=one[: len(one) // 3]) for one in files] + [vision.Image(content=b"no picture")]
    return [
        *((CLASSIFY_IMAGE, one, 1.0) for one in known["cnn-jpeg"].requests()),
        *((CLASSIFY_IMAGE, vision.ClassifyImageRequest(images=[one]).SerializeToString(), 1.0) for one in broken),
        unknown,
    ]
