"""Reads collected frames, and brings them to the sides that the networks take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from services.vision.training.data.doom_frames import Frame
from services.vision.training.detection.average_precision import Objects

# Three quarters of the side in pixels, three fifths of the work; few objects are too small for it.
HEIGHT, WIDTH = 192, 256

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def stretch(pixels: Pixels) -> Pixels:
    """Returns uint8[HEIGHT, WIDTH, 3] of a picture of any sides."""
    return np.asarray(Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def objects_of(frame: Frame) -> Objects:
    """Returns what the measure needs of a frame."""
    return Objects(frame.boxes, frame.classes, frame.ignored)


def read(folder: Path) -> list[Frame]:
    """Returns the frames of every map below `folder`, written by `doom_frames`."""
    return [frame for part in sorted(folder.glob("MAP*")) if (part / "objects.npz").exists() for frame in _read(part)]


def _read(folder: Path) -> Iterator[Frame]:
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    with np.load(folder / "objects.npz") as stored:
        arrays = dict(stored)
    ends, ignored_ends = arrays["counts"].cumsum(), arrays["ignored_counts"].cumsum()
    for picture, end, count, ignored_end, ignored_count in zip(
        pixels, ends, arrays["counts"], ignored_ends, arrays["ignored_counts"], strict=True
    ):
        yield Frame(
            picture,
            arrays["boxes"][end - count : end],
            arrays["classes"][end - count : end],
            arrays["ignored"][ignored_end - ignored_count : ignored_end],
        )
