"""How toxic messages are: the SVM and the Transformer asked about each message as written and with disguises off.

A message that is longer than the Transformer reads is asked about in pieces as well, so nothing hides behind a long
beginning.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.text.v1 import text_service_pb2 as text_pb
from services.orchestrator.content.moderation.canonical import Canonical, canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.moderation.pieces import pieces
from services.orchestrator.content.request_checks import MAXIMUM_CHARACTERS, MAXIMUM_TEXTS
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.steps import StepLog, describe_model

TOXIC = "toxic"
# Taking disguises off takes about 10 µs a word: beyond this the event loop would stand still for milliseconds.
_INLINE_CHARACTERS = 2_000

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
        whole: whether all of it was read; False when the models did not come to the end of a long message.
    """

    canonical: Canonical
    findings: Mapping[str, Finding] = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True)
class _Question:
    """A text to ask the models about: of which message, read how (None: as written), and where it starts in that."""

    row: int
    text: str
    read: Canonical | None
    start: int = 0

    def place(self, start: int, end: int) -> Place:
        """Return the part of the message that a part of the text stands for."""
        start, end = start + self.start, end + self.start
        return (start, end) if self.read is None else self.read.place(start, end)


@dataclass(frozen=True)
class _Answer:
    """What the models said to a question; None for one that did not answer."""

    svm: classical_pb.TextToxicity | None
    transformer: text_pb.TextUnderstanding | None


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


async def read_disguises(texts: Sequence[str]) -> list[Canonical]:
    """Take the disguises off messages, on a thread when there is much to read."""
    lexicon = load_lexicon()
    if sum(map(len, texts)) <= _INLINE_CHARACTERS:
        return [canonical(text, lexicon) for text in texts]
    return await asyncio.to_thread(lambda: [canonical(text, lexicon) for text in texts])


async def read_messages(mesh: Mesh, texts: Sequence[str], steps: StepLog, seconds: float) -> list[Reading]:
    """Ask both models about each message; a model that does not answer is left out, and the steps say so.

    Args:
        mesh: the model services.
        texts: checked messages.
        steps: where the steps are reported.
        seconds: time for all of it.
    """
    deadline = time.monotonic() + seconds
    plain = await read_disguises(texts)
    asked = [_Question(row, text, None) for row, text in enumerate(texts)]
    # A message without a disguise is asked about once.
    asked += [
        _Question(row, read.text, read)
        for row, (text, read) in enumerate(zip(texts, plain, strict=True))
        if read.text.strip() and read.text != text
    ]
    long = [question for question in asked if len(question.text) > MAXIMUM_CHARACTERS]
    asked = [question for question in asked if len(question.text) <= MAXIMUM_CHARACTERS]
    answers = await _ask(mesh, asked, steps, deadline)
    for question, answer in zip(asked, answers, strict=True):
        if answer.transformer is not None and answer.transformer.truncated:
            long.append(question)
    whole = [True] * len(texts)
    if long:
        parts = [_Question(each.row, part, each.read, start) for each in long for start, part in pieces(each.text)]
        said = await _ask(mesh, parts, steps, deadline)
        for question, answer in zip(parts, said, strict=True):
            whole[question.row] &= answer.transformer is not None or answer.svm is not None
        asked, answers = [*asked, *parts], [*answers, *said]
    findings: list[dict[str, Finding]] = [{} for _ in texts]
    for question, answer in zip(asked, answers, strict=True):
        _add(findings[question.row], question, answer)
    return [Reading(plain[row], findings[row], whole[row]) for row in range(len(texts))]


async def _ask(mesh: Mesh, asked: Sequence[_Question], steps: StepLog, deadline: float) -> list[_Answer]:
    texts = [question.text for question in asked]
    svm, transformer = await asyncio.gather(
        _ask_svm(mesh, texts, steps, deadline), _ask_transformer(mesh, texts, steps, deadline)
    )
    return [
        _Answer(svm[row] if svm is not None else None, transformer[row] if transformer is not None else None)
        for row in range(len(texts))
    ]


async def _ask_svm(
    mesh: Mesh, texts: Sequence[str], steps: StepLog, deadline: float
) -> Sequence[classical_pb.TextToxicity] | None:
    with steps.measure("toxicity/svm", "classical") as report:
        found: list[classical_pb.TextToxicity] = []
        for start in range(0, len(texts), MAXIMUM_TEXTS):
            reply = await mesh.score_toxicity(texts[start : start + MAXIMUM_TEXTS], deadline - time.monotonic())
            describe_model(report, reply.report)
            found.extend(reply.results)
        return found
    return None


async def _ask_transformer(
    mesh: Mesh, texts: Sequence[str], steps: StepLog, deadline: float
) -> Sequence[text_pb.TextUnderstanding] | None:
    with steps.measure("toxicity/transformer", "text") as report:
        found: list[text_pb.TextUnderstanding] = []
        for start in range(0, len(texts), MAXIMUM_TEXTS):
            reply = await mesh.understand_texts(
                texts[start : start + MAXIMUM_TEXTS],
                [text_pb.UNDERSTANDING_TASK_TOXICITY],
                deadline - time.monotonic(),
            )
            describe_model(report, reply.report)
            found.extend(reply.results)
        return found
    return None


def _add(findings: dict[str, Finding], question: _Question, answer: _Answer) -> None:
    """Add what was said to a question to what is known of its message."""
    said = {score.category: score for score in answer.transformer.toxicity} if answer.transformer is not None else {}
    for category, score in said.items():
        _raise(findings, category, score.probability, [question.place(span.start, span.end) for span in score.spans])
    toxic = combined(
        said[TOXIC].probability if TOXIC in said else None,
        answer.svm.probability if answer.svm is not None else None,
        disguised=question.read is not None and bool(question.read.disguised),
    )
    if toxic is not None:
        words = answer.svm.words[:3] if answer.svm is not None else []
        _raise(findings, TOXIC, toxic, [question.place(word.start, word.end) for word in words])


def _raise(findings: dict[str, Finding], category: str, probability: float, spans: Sequence[Place]) -> None:
    """Keep the higher probability, and where it comes from if anything is known of that."""
    before = findings.get(category)
    if before is None or probability > before.probability:
        kept = tuple(sorted(set(spans))) or (before.spans if before else ())
        findings[category] = Finding(probability, kept)
