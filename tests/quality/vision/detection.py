"""Measures `doom-detector` on maps that no fit has seen: `python -m tests.quality.vision.detection`.

Collects the frames of the test maps again, which takes a minute or two on one core, and sends them through the
committed graph.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.vision.training.data.doom_frames import (
    LABELS,
    TEST_FRAMES_A_MAP,
    TEST_MAPS,
    TEST_SEED,
    Frame,
    collect,
    map_name,
)
from services.vision.training.detection.measuring import Figures, figures, graph_answers

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "services" / "vision" / "models" / "doom-detector" / "1"
# The floor of a detector that was fitted without a GPU.
FLOOR = 0.45
LEAST_CLASSES = 8


@dataclass(frozen=True)
class Measured:
    """The figures, and in how many frames each class is seen."""

    figures: Figures
    frames: dict[str, int]


def measure(say: Callable[[str], None], frames_a_map: int = TEST_FRAMES_A_MAP) -> Measured:
    """Collects and measures.

    Args:
        say: is told what goes on.
        frames_a_map: fewer are other frames of the same maps.
    """
    frames: list[Frame] = []
    for number in TEST_MAPS:
        say(map_name(number))
        frames += collect([number], TEST_SEED, frames_a_map)
    say("answers")
    found = figures(frames, graph_answers(FOLDER / "model.onnx", frames))
    seen = {label: sum(number in frame.classes for frame in frames) for number, label in enumerate(LABELS)}
    return Measured(found, seen)


def main() -> None:
    """Prints the figures beside the floor; exits with 1 when it is missed."""
    begun = time.monotonic()
    measured = measure(lambda what: print(f"[{time.monotonic() - begun:5.0f} s] {what}", flush=True))
    for label, value in measured.figures.half.items():
        ten, seen = measured.figures.ten[label], measured.frames[label]
        print(f"{label:16s} AP@.50 {value:.4f}  AP@[.50:.95] {ten:.4f}  {seen} frames")
    counted = measured.figures.counted
    print(f"classes in at least 50 frames {len(counted)}, at least {LEAST_CLASSES}")
    value = measured.figures.mean_half
    print(f"mAP@.50 {value:.4f}  at least {FLOOR:.2f}  {'ok' if value >= FLOOR else 'MISSED'}")
    print(f"mAP@[.50:.95] {measured.figures.mean_ten:.4f}")
    sys.exit(0 if value >= FLOOR and len(counted) >= LEAST_CLASSES else 1)


if __name__ == "__main__":
    main()
