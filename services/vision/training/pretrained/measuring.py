"""What the comparisons with the originals share: varied pictures, and what a run costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from services.runtime.training.publish import cpu_session
from services.vision.training.pictures import PICTURES

PARTS_A_PICTURE = 20
_RUNS = 7

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def real_pictures() -> dict[str, Image.Image]:
    """Returns the committed photographs by name."""
    found = {}
    for path in sorted(PICTURES.glob("*.jpg")):
        with Image.open(path) as opened:
            found[path.stem] = opened.convert("RGB")
    return found


def varied_pictures(seed: int, parts: int = PARTS_A_PICTURE) -> list[Image.Image]:
    """Returns random parts of the committed photographs in many proportions and sizes, brighter, darker, mirrored."""
    random = np.random.default_rng(seed)
    varied = []
    for picture in real_pictures().values():
        for _ in range(parts):
            width, height = (side * random.uniform(0.35, 1.0) for side in picture.size)
            left, top = random.uniform(0, picture.width - width), random.uniform(0, picture.height - height)
            size = tuple(max(32, round(side * random.uniform(0.8, 2.5))) for side in (width, height))
            box = (left, top, left + width, top + height)
            part = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC, box=box)
            pixels = np.asarray(part, dtype=np.float64)[:, :: random.choice((1, -1))] * random.uniform(0.6, 1.4)
            varied.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return varied


def run_milliseconds(graph: bytes, inputs: Mapping[str, Pixels]) -> float:
    """Returns the median processor time of a run on one thread, in milliseconds."""
    session = cpu_session(graph)
    session.run(None, dict(inputs))
    times = []
    for _ in range(_RUNS):
        start = time.thread_time()
        session.run(None, dict(inputs))
        times.append(time.thread_time() - start)
    return statistics.median(times) * 1e3
