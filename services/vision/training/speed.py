"""Measures what a picture costs on this machine: decoding by format and size, the network by batch.

    python -m services.vision.training.speed

It needs the serving environment only, and prints the table that the card carries.
"""

from __future__ import annotations

import io
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from services.runtime.training.publish import cpu_session
from services.vision.pipelines.image_decoding import decode_image
from services.vision.training.pictures import PICTURES

MODEL = Path(__file__).parents[1] / "models" / "efficientnet-lite0" / "1" / "model.onnx"
BATCHES = (1, 8)
# Name, size and format of the pictures decoded; noise gives them the entropy of a photograph of that size.
DECODED = (
    ("JPEG 640 × 480", (640, 480), "JPEG"),
    ("JPEG 4000 × 3000 (12 megapixels)", (4000, 3000), "JPEG"),
    ("PNG 640 × 480", (640, 480), "PNG"),
    ("WebP 640 × 480", (640, 480), "WEBP"),
)
_SECONDS_A_MEASUREMENT = 2.0


def measure(graph: bytes) -> str:
    """Returns a Markdown table of the medians of repeated runs, one thread each.

    Processor time of the thread, not the clock: other work on the machine then changes the figures little.
    """
    rows = ["| what | processor time, ms | pictures a second and core |", "|---|---|---|"]
    session = cpu_session(graph)
    for batch in BATCHES:
        pixels = np.stack([decode_image(path.read_bytes()) for path in sorted(PICTURES.glob("*.jpg"))[:batch]])
        seconds = _median_seconds(partial(session.run, None, {"pixels": pixels}))
        rows.append(f"| network, batch {batch} | {seconds * 1e3:.1f} | {batch / seconds:.0f} |")
    for name, size, picture_format in DECODED:
        data = _encoded(size, picture_format)
        seconds = _median_seconds(partial(decode_image, data))
        rows.append(f"| decode {name}, {len(data) / 1e3:.0f} kB | {seconds * 1e3:.1f} | {1 / seconds:.0f} |")
    return "\n".join(rows)


def hardware() -> str:
    """Returns a few words on the processor and the runtime, for the card."""
    model = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{model}, one thread, ONNX Runtime {onnxruntime.__version__}"


def _encoded(size: tuple[int, int], picture_format: str) -> bytes:
    random = np.random.default_rng(0)
    with Image.open(PICTURES / "pagoda.jpg") as opened:
        pixels = np.asarray(opened.convert("RGB").resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    noisy = pixels + random.normal(0, 6, (*pixels.shape[:2], 1)).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, picture_format, quality=90)
    return buffer.getvalue()


def _median_seconds(call: Callable[[], Any]) -> float:
    call()
    times: list[float] = []
    end = time.perf_counter() + _SECONDS_A_MEASUREMENT
    while time.perf_counter() < end or len(times) < 5:
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return statistics.median(times)


if __name__ == "__main__":
    print(hardware())
    print(measure(MODEL.read_bytes()))
