"""Measures the text models as served, and moderation through the orchestrator, on texts that no fit has seen."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceStub
from marquee.entertainment.v1 import moderation_service_pb2 as moderation_pb
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceStub
from marquee.text.v1 import text_service_pb2 as text_pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.runtime.sources import SourceUnavailable
from services.text.training.moderation import evasions_held_out, evasions_seen
from services.text.training.moderation.evasion import evade
from services.text.training.understanding.measuring import sentiment_figures
from services.text.training.understanding.samples import (
    EmotionText,
    emotion_labels,
    emotion_texts,
    film_texts,
    rated_texts,
)
from tests.support.content_mesh import ContentMesh, content_mesh

SENTIMENT_MODELS = ("minilm-understanding", "recurrent-sentiment", "word-embedding-sentiment")
_TOGETHER = 128
_TOXIC_FROM = 0.8
_PLAIN_SVM_FROM = 0.5
# What people who mean harm feel; labels of GoEmotions.
_HOSTILE = ("anger", "annoyance", "disgust")

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
        async with content_mesh(Path(folder)) as mesh:
            for model in SENTIMENT_MODELS:
                say(f"sentiment by {model}")
                measured.figures |= await _sentiment(mesh, model, most)
            try:
                comments = _some(emotion_texts("test"), most)
            except SourceUnavailable as error:
                say(f"emotion and disguises are left out: {error}")
                return measured
            say("emotion")
            measured.figures |= await _emotion(mesh, comments)
            say("moderation")
            await _moderation(mesh, comments, measured, most)
    return measured


async def _understand(mesh: ContentMesh, texts: Sequence[str], model: str) -> list[text_pb.TextUnderstanding]:
    stub: Any = TextServiceStub(mesh.text)  # type: ignore[arg-type]
    found: list[text_pb.TextUnderstanding] = []
    for start in range(0, len(texts), _TOGETHER):
        request = text_pb.UnderstandTextRequest(texts=texts[start : start + _TOGETHER], model=model)
        found.extend((await stub.UnderstandText(request, timeout=300)).results)
    return found


async def _sentiment(mesh: ContentMesh, model: str, most: int | None) -> dict[str, float]:
    samples = _some(film_texts("test"), most)
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
    found = await _understand(mesh, [each.text for each in comments], SENTIMENT_MODELS[0])
    answers, targets = np.zeros((len(comments), len(labels))), np.zeros((len(comments), len(labels)))
    for row, (comment, result) in enumerate(zip(comments, found, strict=True)):
        targets[row, list(comment.emotions)] = 1
        answers[row, [labels.index(each.label) for each in result.emotions if each.present]] = 1
    return {"emotion macro-F1": float(f1_score(targets, answers, average="macro", zero_division=0))}


async def _moderation(mesh: ContentMesh, comments: Sequence[EmotionText], measured: Measured, most: int | None) -> None:
    hostile = {emotion_labels().index(name) for name in _HOSTILE}
    angry = [each.text for each in comments if each.emotions & hostile]
    clean = await _plain_svm(mesh, angry)
    toxic = [(text, _offensive(text)) for text, score in zip(angry, clean, strict=True) if score >= _TOXIC_FROM]
    toxic = _some([(text, words) for text, words in toxic if words], min(120, most or 120))
    measured.figures["toxic texts"] = len(toxic)
    measured.figures["recall undisguised"] = float(np.mean(await _flagged(mesh, [text for text, _ in toxic])))
    for half, transforms in (("seen", evasions_seen.TRANSFORMS), ("held out", evasions_held_out.TRANSFORMS)):
        shares = await _disguised(mesh, toxic, transforms)
        measured.disguises |= {f"{half}: {name}": pair for name, pair in shares.items()}
        measured.figures[f"recall {half}"] = float(np.mean([ours for ours, _ in shares.values()]))
        measured.figures[f"recall {half}, plain SVM"] = float(np.mean([plain for _, plain in shares.values()]))
    harmless = [each.text for each in rated_texts() if each.split == "test" and each.source != "tweets"]
    harmless = _some(harmless, most)
    measured.figures["harmless texts"] = len(harmless)
    measured.figures["false positives"] = float(np.mean(await _flagged(mesh, harmless)))
    plain = np.array(await _plain_svm(mesh, harmless))
    measured.figures["false positives, plain SVM"] = float(np.mean(plain >= _PLAIN_SVM_FROM))


async def _disguised(
    mesh: ContentMesh, toxic: Sequence[tuple[str, frozenset[str]]], transforms: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    generator = random.Random(0)
    shares = {}
    for name, transform in transforms.items():
        texts = [evade(text, words, transform, generator) for text, words in toxic]
        plain = np.array(await _plain_svm(mesh, texts))
        shares[name] = (float(np.mean(await _flagged(mesh, texts))), float(np.mean(plain >= _PLAIN_SVM_FROM)))
    return shares


async def _flagged(mesh: ContentMesh, texts: Sequence[str]) -> list[bool]:
    """Return whether the built-in policy has each text reviewed or blocked."""
    stub: Any = ModerationServiceStub(mesh.orchestrator)
    found: list[bool] = []
    for start in range(0, len(texts), _TOGETHER):
        request = moderation_pb.ModerateTextRequest(texts=texts[start : start + _TOGETHER])
        reply = await stub.ModerateText(request, timeout=300)
        found += [each.action != moderation_pb.MODERATION_ACTION_ALLOW for each in reply.decisions]
    return found


async def _plain_svm(mesh: ContentMesh, texts: Sequence[str]) -> list[float]:
    stub: Any = ClassicalServiceStub(mesh.classical)  # type: ignore[arg-type]
    found: list[float] = []
    for start in range(0, len(texts), _TOGETHER):
        request = classical_pb.ScoreToxicityRequest(texts=texts[start : start + _TOGETHER])
        found += [each.probability for each in (await stub.ScoreToxicity(request, timeout=300)).results]
    return found


def _offensive(text: str) -> frozenset[str]:
    words = {word.strip(".,!?\"'()") for word in text.lower().split()}
    return frozenset(words & load_lexicon().offensive)


def _some(samples: Sequence[Any], most: int | None) -> list[Any]:
    if most is None or most >= len(samples):
        return list(samples)
    return random.Random(0).sample(list(samples), most)
