"""Measures the text models as served, and moderation through the orchestrator, on texts that no fit has seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from marquee.text.v1 import text_service_pb2 as text_pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.runtime.sources import SourceUnavailable
from services.text.training.understanding.measuring import sentiment_figures
from services.text.training.understanding.samples import (
    EmotionText,
    emotion_labels,
    emotion_texts,
    film_texts,
)
from tests.quality.text.moderation import measure_moderation, some
from tests.support.content_mesh import ContentMesh, content_mesh

UNDERSTANDING = "minilm-understanding"
SENTIMENT_MODELS = ("minilm-sentiment", UNDERSTANDING, "recurrent-sentiment", "word-embedding-sentiment")
_TOGETHER = 128

Floats = NDArray[np.float64]


@dataclass
class Measured:
    """Figures by name, and the share found of each disguise: (ours, the plain SVM)."""

    figures: dict[str, float] = field(default_factory=dict)
    disguises: dict[str, tuple[float, float]] = field(default_factory=dict)


async def measure(say: Callable[[str], None], *, most: int | None = None) -> Measured:
    """Run the services and measure.

    Args:
        say: told how far it is.
        most: texts of each set at most, drawn with a fixed seed; None takes all.
    """
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="marquee-quality-") as folder:
        async with content_mesh(Path(folder), content_seconds=60.0) as mesh:
            for model in SENTIMENT_MODELS:
                say(f"sentiment by {model}")
                measured.figures |= await _sentiment(mesh, model, most)
            try:
                comments = some(emotion_texts("test"), most)
            except SourceUnavailable as error:
                say(f"emotion and disguises are left out: {error}")
                return measured
            say("emotion")
            measured.figures |= await _emotion(mesh, comments)
            say("moderation")
            moderated = await measure_moderation(mesh, comments, most)
            measured.figures |= moderated.figures
            measured.disguises |= moderated.disguises
    return measured


async def _understand(mesh: ContentMesh, texts: Sequence[str], model: str) -> list[text_pb.TextUnderstanding]:
    stub: Any = TextServiceStub(mesh.text)  # type: ignore[arg-type]
    found: list[text_pb.TextUnderstanding] = []
    for start in range(0, len(texts), _TOGETHER):
        request = text_pb.UnderstandTextRequest(texts=texts[start : start + _TOGETHER], model=model)
        found.extend((await stub.UnderstandText(request, timeout=300)).results)
    return found


async def _sentiment(mesh: ContentMesh, model: str, most: int | None) -> dict[str, float]:
    samples = some(film_texts("test"), most)
    found = await _understand(mesh, [each.text for each in samples], model)
    outputs = np.array(
        [
            [np.arctanh(np.clip(each.sentiment.score, -0.9999, 0.9999)), each.sentiment.positive_probability - 0.5]
            for each in found
        ]
    )
    figures = sentiment_figures(outputs, np.array([each.rating for each in samples]))
    return {f"{model} {name}": value for name, value in figures.items()}


async def _emotion(mesh: ContentMesh, comments: Sequence[EmotionText]) -> dict[str, float]:
    labels = emotion_labels()
    found = await _understand(mesh, [each.text for each in comments], UNDERSTANDING)
    answers, targets = np.zeros((len(comments), len(labels))), np.zeros((len(comments), len(labels)))
    for row, (comment, result) in enumerate(zip(comments, found, strict=True)):
        targets[row, list(comment.emotions)] = 1
        answers[row, [labels.index(each.label) for each in result.emotions if each.present]] = 1
    return {"emotion macro-F1": float(f1_score(targets, answers, average="macro", zero_division=0))}
