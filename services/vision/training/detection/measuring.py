"""The figures of a detector on collected frames; it needs the serving environment only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.runtime.training.publish import cpu_session
from services.vision.training.data.doom_frames import LABELS, Frame
from services.vision.training.detection.average_precision import Answers, average_precisions, from_scores
from services.vision.training.detection.frames import objects_of, stretch

# A class that is seen in fewer frames is shown but not averaged: its figure would be chance.
LEAST_FRAMES = 50


@dataclass(frozen=True)
class Figures:
    """Average precision by class at IoU .50 and over .50 to .95; `counted` are the classes of the means."""

    half: dict[str, float]
    ten: dict[str, float]
    counted: tuple[str, ...]

    @property
    def mean_half(self) -> float:
        """mAP@.50."""
        return float(np.mean([self.half[label] for label in self.counted]))

    @property
    def mean_ten(self) -> float:
        """mAP@[.50:.95]."""
        return float(np.mean([self.ten[label] for label in self.counted]))


def graph_answers(graph: bytes | Path, frames: Sequence[Frame]) -> list[Answers]:
    """Runs an exported graph one frame at a time, as the service does."""
    session = cpu_session(graph)
    answers = []
    for frame in frames:
        scores, boxes = session.run(["scores", "boxes"], {"pixels": stretch(frame.pixels)[None]})
        answers.append(from_scores(scores[0], boxes[0]))
    return answers


def figures(frames: Sequence[Frame], answers: Sequence[Answers]) -> Figures:
    """Compares answers with what is in the frames."""
    table = average_precisions([objects_of(frame) for frame in frames], answers, len(LABELS))
    seen = {label: sum(number in frame.classes for frame in frames) for number, label in enumerate(LABELS)}
    return Figures(
        {label: float(row[0]) for label, row in zip(LABELS, table, strict=True)},
        {label: float(row.mean()) for label, row in zip(LABELS, table, strict=True)},
        tuple(label for label in LABELS if seen[label] >= LEAST_FRAMES),
    )
