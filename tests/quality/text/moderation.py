"""Measures moderation through the orchestrator: what disguises hide, and what harmless talk is stopped.

`python -m tests.quality.text.moderation` measures it alone. A disguised text counts as found only where a kind of
toxicity is the reason: one that is for review because its language cannot be told would be found by luck. Harmless
talk counts as stopped whatever the reason is. Recall is the mean over the disguises of a half, each asked about the
same texts; those are comments that people labelled with hostile emotions, that the plain SVM calls offensive as
written, and that hold a word of the reader's lexicon, which is the word that is disguised.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceStub
from marquee.entertainment.v1 import moderation_service_pb2 as moderation_pb
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceStub
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.moderation.policy import CATEGORIES
from services.text.training.corpus import TWEETS
from services.text.training.moderation import evasions_held_out, evasions_seen
from services.text.training.moderation.evasion import evade
from services.text.training.understanding.samples import EmotionText, emotion_labels, emotion_texts, rated_texts
from tests.support.content_mesh import ContentMesh, content_mesh

_TOGETHER = 128
_TOXIC_FROM = 0.8
_PLAIN_SVM_FROM = 0.5
_TOXIC_TEXTS = 120
# What people who mean harm feel; labels of GoEmotions.
_HOSTILE = frozenset({"anger", "annoyance", "disgust"})
# Comments that people felt only this in are hardly meant to harm, though some swear for joy.
_KIND = frozenset(
    {
        "admiration", "approval", "caring", "curiosity", "excitement", "gratitude", "joy", "love", "neutral",
        "optimism", "pride", "realization", "relief", "surprise",
    }
)  # fmt: skip
ALLOW = moderation_pb.MODERATION_ACTION_ALLOW


@dataclass
class ModerationMeasured:
    """Figures by name, the share found of each disguise, (ours, the plain SVM), and reasons why harmless talk was
    stopped.
    """

    figures: dict[str, float] = field(default_factory=dict)
    disguises: dict[str, tuple[float, float]] = field(default_factory=dict)
    stopped: Counter[str] = field(default_factory=Counter)


async def measure_moderation(
    mesh: ContentMesh, comments: Sequence[EmotionText], most: int | None
) -> ModerationMeasured:
    """Measure.

    Args:
        mesh: running services.
        comments: comments that no fit has seen.
        most: texts of each set at most, drawn with a fixed seed; None takes all.
    """
    measured = ModerationMeasured()
    labels = emotion_labels()
    hostile = {labels.index(name) for name in _HOSTILE}
    angry = [each.text for each in comments if each.emotions & hostile]
    clean = await _plain_svm(mesh, angry)
    toxic = [(text, _offensive(text)) for text, score in zip(angry, clean, strict=True) if score >= _TOXIC_FROM]
    toxic = some([(text, words) for text, words in toxic if words], min(_TOXIC_TEXTS, most or _TOXIC_TEXTS))
    measured.figures["toxic texts"] = len(toxic)
    as_written = await _decided(mesh, [text for text, _ in toxic])
    measured.figures["recall undisguised"] = float(np.mean([_toxic(each) for each in as_written]))
    for half, transforms in (("seen", evasions_seen.TRANSFORMS), ("held out", evasions_held_out.TRANSFORMS)):
        shares = await _disguised(mesh, toxic, transforms)
        measured.disguises |= {f"{half}: {name}": pair for name, pair in shares.items()}
        measured.figures[f"recall {half}"] = float(np.mean([ours for ours, _ in shares.values()]))
        measured.figures[f"recall {half}, plain SVM"] = float(np.mean([plain for _, plain in shares.values()]))
    reviews = [each.text for each in rated_texts() if each.split == "test" and each.source != TWEETS]
    await _false_positives(mesh, some(reviews, most), "", measured)
    kind = {labels.index(name) for name in _KIND}
    gentle = [each.text for each in comments if each.emotions <= kind]
    await _false_positives(mesh, some(gentle, most), " in kind or neutral comments", measured)
    return measured


async def _false_positives(mesh: ContentMesh, texts: Sequence[str], which: str, measured: ModerationMeasured) -> None:
    decisions = await _decided(mesh, texts)
    measured.figures[f"harmless texts{which}"] = len(texts)
    measured.figures[f"false positives{which}"] = float(np.mean([each.action != ALLOW for each in decisions]))
    blocked = moderation_pb.MODERATION_ACTION_BLOCK
    measured.figures[f"false positives{which}, blocked"] = float(
        np.mean([each.action == blocked for each in decisions])
    )
    plain = np.array(await _plain_svm(mesh, texts))
    measured.figures[f"false positives{which}, plain SVM"] = float(np.mean(plain >= _PLAIN_SVM_FROM))
    for decision in decisions:
        measured.stopped.update(f"{reason.code}{which}" for reason in decision.reasons)


async def _disguised(
    mesh: ContentMesh, toxic: Sequence[tuple[str, frozenset[str]]], transforms: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    generator = random.Random(0)
    shares = {}
    for name, transform in transforms.items():
        texts = [evade(text, words, transform, generator) for text, words in toxic]
        plain = np.array(await _plain_svm(mesh, texts))
        found = [_toxic(each) for each in await _decided(mesh, texts)]
        shares[name] = (float(np.mean(found)), float(np.mean(plain >= _PLAIN_SVM_FROM)))
    return shares


def _toxic(decision: moderation_pb.ModerationDecision) -> bool:
    """Return whether a message is not allowed for a kind of toxicity."""
    return any(reason.code in CATEGORIES for reason in decision.reasons)


async def _decided(mesh: ContentMesh, texts: Sequence[str]) -> list[moderation_pb.ModerationDecision]:
    """Return what the built-in policy decides on each text."""
    stub: Any = ModerationServiceStub(mesh.orchestrator)
    found: list[moderation_pb.ModerationDecision] = []
    for start in range(0, len(texts), _TOGETHER):
        request = moderation_pb.ModerateTextRequest(texts=texts[start : start + _TOGETHER])
        reply = await stub.ModerateText(request, timeout=300)
        if reply.degraded:
            raise RuntimeError("a model did not answer, so the figures would be those of the other")
        found += reply.decisions
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


def some(samples: Sequence[Any], most: int | None) -> list[Any]:
    """Return at most that many samples, the same ones every time."""
    if most is None or most >= len(samples):
        return list(samples)
    return random.Random(0).sample(list(samples), most)


async def _alone(most: int | None) -> ModerationMeasured:
    with tempfile.TemporaryDirectory(prefix="marquee-quality-") as folder:
        async with content_mesh(Path(folder), content_seconds=60.0) as mesh:
            return await measure_moderation(mesh, some(emotion_texts("test"), most), most)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.text.moderation", description=__doc__)
    parser.add_argument("--most", type=int, help="texts of each set at most (all)")
    measured = asyncio.run(_alone(parser.parse_args().most))
    for name, value in measured.figures.items():
        print(f"{name:56s} {value:10.4f}")
    for name, (ours, plain) in measured.disguises.items():
        print(f"{name:56s} {ours:10.2f} {plain:10.2f}")
    for name, count in measured.stopped.most_common():
        print(f"stopped harmless talk: {name:33s} {count:10d}")


if __name__ == "__main__":
    main()
