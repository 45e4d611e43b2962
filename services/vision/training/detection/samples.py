"""A sheet of test frames with what the detector finds in them, for its card."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from services.vision.training.data.doom_frames import HEIGHT, LABELS, WIDTH, Frame
from services.vision.training.detection.average_precision import Answers

LEAST_SCORE = 0.4
COLUMNS, ROWS = 3, 3
_SCALE = 1.25
_COLOUR, _SHADOW = (120, 255, 120), (0, 0, 0)


def sheet(frames: Sequence[Frame], answers: Sequence[Answers]) -> bytes:
    """Returns a JPEG of frames at even distances, each with its boxes; queries below `LEAST_SCORE` are left out."""
    width, height = int(WIDTH * _SCALE), int(HEIGHT * _SCALE)
    page = Image.new("RGB", (COLUMNS * width, ROWS * height))
    full = [number for number, frame in enumerate(frames) if len(frame.boxes) > 1]
    for place, number in enumerate(full[:: len(full) // (COLUMNS * ROWS)][: COLUMNS * ROWS]):
        picture = Image.fromarray(np.array(frames[number].pixels)).resize((width, height), Image.Resampling.NEAREST)
        _draw(ImageDraw.Draw(picture), answers[number], width, height)
        page.paste(picture, (place % COLUMNS * width, place // COLUMNS * height))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()


def _draw(canvas: ImageDraw.ImageDraw, answers: Answers, width: int, height: int) -> None:
    drawn: set[tuple[float, ...]] = set()
    for box, number, score in zip(answers.boxes, answers.classes, answers.scores, strict=True):
        # A query is drawn once, under the best of its classes, which comes first.
        if score < LEAST_SCORE or tuple(box) in drawn:
            continue
        drawn.add(tuple(box))
        left, top, right, bottom = box * (width, height, width, height)
        canvas.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=_COLOUR)
        text, place = f"{LABELS[number]} {score:.2f}", (left + 1, max(top - 11, 0))
        canvas.text((place[0] + 1, place[1] + 1), text, fill=_SHADOW)
        canvas.text(place, text, fill=_COLOUR)
