"""How toxic messages are: the SVM and the Transformer asked about each message as written and with disguises off."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.text.v1 import text_service_pb2 as text_pb
from services.orchestrator.content.moderation.canonical import Canonical, canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.steps import StepLog, describe_model

TOXIC = "toxic"
# The most texts that the model services take in one call.
_MOST_TEXTS = 256

Place = tuple[int, int]


@dataclass(frozen=True)
class Finding:
    """One kind of toxicity: its probability, 0 to 1, and what caused it in the message."""

    probability: float
    spans: tuple[Place, ...]


@dataclass(frozen=True)
class Reading:
    """What is known of one message.

    Attributes:
        findings: by kind; empty when no model answered.
        canonical: the message with its disguises taken off.
    """

    canonical: Canonical
    findings: Mapping[str, Finding] = field(default_factory=dict)


def combined(transformer: float | None, svm: float | None, *, disguised: bool) -> float | None:
    """Return how probable it is that a person calls a message offensive, from what both models say.

    The SVM knows words and no meaning, so alone it only makes a person look; a word that somebody took the trouble to
    disguise is taken at its word.
    """
    if transformer is None or svm is None:
        return transformer if svm is None else svm
    if disguised:
        return max(transformer, svm)
    return max(transformer, min(svm, 0.5 * (svm + transformer)))


async def read_messages(mesh: Mesh, texts: Sequence[str], steps: StepLog, seconds: float) -> list[Reading]:
    """Ask both models about each message; a model that does not answer is left out, and the steps say so."""
    lexicon = load_lexicon()
    plain = [canonical(text, lexicon) for text in texts]
    # A message without a disguise is asked about once.
    second = [row for row, (text, read) in enumerate(zip(texts, plain, strict=True)) if _differs(text, read.text)]
    asked = [*texts, *(plain[row].text for row in second)]
    svm, transformer = await asyncio.gather(
        _ask_svm(mesh, asked, steps, seconds), _ask_transformer(mesh, asked, steps, seconds)
    )
    variants: list[list[tuple[int, Canonical | None]]] = [[(row, None)] for row in range(len(texts))]
    for number, row in enumerate(second):
        variants[row].append((len(texts) + number, plain[row]))
    return [_reading(plain[row], variants[row], svm, transformer) for row in range(len(texts))]


async def _ask_svm(
    mesh: Mesh, texts: Sequence[str], steps: StepLog, seconds: float
) -> Sequence[classical_pb.TextToxicity] | None:
    with steps.measure("toxicity/svm", "classical") as report:
        found: list[classical_pb.TextToxicity] = []
        for start in range(0, len(texts), _MOST_TEXTS):
            reply = await mesh.score_toxicity(texts[start : start + _MOST_TEXTS], seconds)
            describe_model(report, reply.report)
            found.extend(reply.results)
        return found
    return None


async def _ask_transformer(
    mesh: Mesh, texts: Sequence[str], steps: StepLog, seconds: float
) -> Sequence[text_pb.TextUnderstanding] | None:
    with steps.measure("toxicity/transformer", "text") as report:
        found: list[text_pb.TextUnderstanding] = []
        for start in range(0, len(texts), _MOST_TEXTS):
            reply = await mesh.understand_texts(
                texts[start : start + _MOST_TEXTS], [text_pb.UNDERSTANDING_TASK_TOXICITY], seconds
            )
            describe_model(report, reply.report)
            found.extend(reply.results)
        return found
    return None


def _reading(
    plain: Canonical,
    variants: Sequence[tuple[int, Canonical | None]],
    svm: Sequence[classical_pb.TextToxicity] | None,
    transformer: Sequence[text_pb.TextUnderstanding] | None,
) -> Reading:
    findings: dict[str, Finding] = {}
    for row, read in variants:
        said = {score.category: score for score in transformer[row].toxicity} if transformer is not None else {}
        words = svm[row] if svm is not None else None
        for category, score in said.items():
            spans = [_place(read, span.start, span.end) for span in score.spans]
            _raise(findings, category, score.probability, spans)
        toxic = combined(
            said[TOXIC].probability if TOXIC in said else None,
            words.probability if words is not None else None,
            disguised=read is not None and bool(read.disguised),
        )
        if toxic is not None:
            spans = [_place(read, word.start, word.end) for word in words.words[:3]] if words is not None else []
            _raise(findings, TOXIC, toxic, spans)
    return Reading(plain, findings)


def _raise(findings: dict[str, Finding], category: str, probability: float, spans: Sequence[Place]) -> None:
    """Keep the higher probability, and where it comes from if anything is known of that."""
    before = findings.get(category)
    if before is None or probability > before.probability:
        kept = tuple(sorted(set(spans))) or (before.spans if before else ())
        findings[category] = Finding(probability, kept)


def _place(read: Canonical | None, start: int, end: int) -> Place:
    return (start, end) if read is None else read.place(start, end)


def _differs(text: str, read: str) -> bool:
    return bool(read.strip()) and read != text
