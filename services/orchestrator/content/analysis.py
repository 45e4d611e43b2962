"""Analysis of texts: each feature on its own, so that one that fails costs no other."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.common.v1.report_pb2 import ModelReport
from marquee.entertainment.v1 import content_service_pb2 as pb
from marquee.text.v1 import text_service_pb2 as text_pb
from services.orchestrator.content.language import Language, identify_all
from services.orchestrator.content.moderation.toxicity import read_messages
from services.orchestrator.content.request_checks import MAXIMUM_TEXTS
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog, describe_model
from services.orchestrator.settings import OrchestratorSettings

SENTIMENT, EMOTION, TOXICITY, TAGS, LANGUAGE = (
    pb.TEXT_FEATURE_SENTIMENT,
    pb.TEXT_FEATURE_EMOTION,
    pb.TEXT_FEATURE_TOXICITY,
    pb.TEXT_FEATURE_TAGS,
    pb.TEXT_FEATURE_LANGUAGE,
)
NAMES = {SENTIMENT: "sentiment", EMOTION: "emotion", TOXICITY: "toxicity", TAGS: "tags"}
MOST_SENTENCES = 32
_SHARE = 0.9
# A text this near to 0 leans to no side; one with this much feeling in all is then mixed.
_NEUTRAL, _MIXED = 0.1, 0.6
_LEAST_TOXICITY = 0.5
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")


@dataclass(frozen=True)
class Wish:
    """What to say about texts: features, the caller's tags and how many of them, the language if it is known."""

    features: frozenset[pb.TextFeature.ValueType]
    tags: Sequence[str]
    tag_count: int
    language: str = ""


@dataclass(frozen=True)
class TextAnalyzer:
    """Analyses texts with the models of the mesh."""

    mesh: Mesh
    settings: OrchestratorSettings

    async def analyze(self, texts: Sequence[str], wish: Wish, steps: StepLog) -> list[pb.TextAnalysis]:
        """Return one analysis a text; features that fail are named in it.

        Args:
            texts: checked texts.
            wish: what to say.
            steps: where the steps are reported.
        """
        analyses = [pb.TextAnalysis() for _ in texts]
        with steps.measure("language"):
            languages = [Language(wish.language, 1.0)] * len(texts) if wish.language else await identify_all(texts)
        if LANGUAGE in wish.features:
            for analysis, language in zip(analyses, languages, strict=True):
                analysis.language.code, analysis.language.confidence = language.code, language.confidence
        asked = [feature for feature in NAMES if feature in wish.features]
        known = [row for row, language in enumerate(languages) if language.supported]
        for row, language in enumerate(languages):
            if not language.supported:
                message = f"no loaded model knows the language {language.code!r}"
                for feature in asked:
                    analyses[row].failures.add(feature=feature, reason="unsupported_language", message=message)
        if known and asked:
            seconds = Budget.for_current_call(self.settings.content_seconds).step(_SHARE, self.settings.content_seconds)
            parts = [texts[row] for row in known], [analyses[row] for row in known]
            await asyncio.gather(*(self._feature(feature, *parts, wish, steps, seconds) for feature in asked))
        return analyses

    async def _feature(
        self,
        feature: pb.TextFeature.ValueType,
        texts: Sequence[str],
        analyses: Sequence[pb.TextAnalysis],
        wish: Wish,
        steps: StepLog,
        seconds: float,
    ) -> None:
        if feature == TOXICITY:
            answered = await self._toxicity(texts, analyses, steps, seconds)
        else:
            answered = False
            with steps.measure(NAMES[feature], "text") as report:
                match feature:
                    case pb.TEXT_FEATURE_SENTIMENT:
                        model = await self._sentiment(texts, analyses, seconds)
                    case pb.TEXT_FEATURE_EMOTION:
                        model = await self._emotion(texts, analyses, seconds)
                    case _:
                        model = await self._tags(texts, analyses, wish, seconds)
                describe_model(report, model)
                answered = True
        if not answered:
            for analysis in analyses:
                analysis.failures.add(
                    feature=feature,
                    reason="unavailable",
                    message="the model service did not answer; try again later",
                )

    async def _sentiment(
        self, texts: Sequence[str], analyses: Sequence[pb.TextAnalysis], seconds: float
    ) -> ModelReport:
        """Ask about each text, and about its sentences where there are several: together they are its magnitude."""
        sentences = [sentences_in(text) for text in texts]
        parts = [part for each in sentences if len(each) > 1 for part in each]
        asked = [*texts, *parts]
        results: list[text_pb.TextUnderstanding] = []
        deadline = time.monotonic() + seconds
        for start in range(0, len(asked), MAXIMUM_TEXTS):
            reply = await self.mesh.understand_texts(
                asked[start : start + MAXIMUM_TEXTS],
                [text_pb.UNDERSTANDING_TASK_SENTIMENT],
                deadline - time.monotonic(),
            )
            results.extend(reply.results)
        at = len(texts)
        for row, analysis in enumerate(analyses):
            score = results[row].sentiment.score
            scores = [score]
            if len(sentences[row]) > 1:
                scores = [result.sentiment.score for result in results[at : at + len(sentences[row])]]
                at += len(sentences[row])
            analysis.sentiment.score = score
            analysis.sentiment.magnitude = sum(map(abs, scores))
            analysis.sentiment.label = label_of(score, scores)
            analysis.truncated |= results[row].truncated
        return reply.report

    async def _emotion(self, texts: Sequence[str], analyses: Sequence[pb.TextAnalysis], seconds: float) -> ModelReport:
        reply = await self.mesh.understand_texts(texts, [text_pb.UNDERSTANDING_TASK_EMOTION], seconds)
        for analysis, result in zip(analyses, reply.results, strict=True):
            for emotion in result.emotions:
                if emotion.present:
                    analysis.emotions.add(label=emotion.label, probability=emotion.probability)
            analysis.truncated |= result.truncated
        return reply.report

    async def _tags(
        self, texts: Sequence[str], analyses: Sequence[pb.TextAnalysis], wish: Wish, seconds: float
    ) -> ModelReport:
        reply = await self.mesh.classify_texts(texts, wish.tags, wish.tag_count, seconds)
        for analysis, result in zip(analyses, reply.results, strict=True):
            for label in result.labels:
                analysis.tags.add(tag=label.label, score=label.score)
            analysis.truncated |= result.truncated
        return reply.report

    async def _toxicity(
        self, texts: Sequence[str], analyses: Sequence[pb.TextAnalysis], steps: StepLog, seconds: float
    ) -> bool:
        readings = await read_messages(self.mesh, texts, steps, seconds)
        for text, analysis, reading in zip(texts, analyses, readings, strict=True):
            analysis.truncated |= not reading.whole
            ordered = sorted(reading.findings.items(), key=lambda entry: -entry[1].probability)
            for category, found in ordered:
                if found.probability >= _LEAST_TOXICITY:
                    toxicity = analysis.toxicity.add(category=category, probability=found.probability)
                    for start, end in found.spans:
                        toxicity.spans.add(start=start, end=end, text=text[start:end])
        return any(reading.findings for reading in readings)


def sentences_in(text: str) -> list[str]:
    """Return the sentences of a text, the last of very many taken together."""
    found = [part.strip() for part in _SENTENCE.findall(text)]
    found = [part for part in found if any(map(str.isalnum, part))]
    if len(found) < MOST_SENTENCES:
        return found
    return [*found[: MOST_SENTENCES - 1], " ".join(found[MOST_SENTENCES - 1 :])]


def label_of(score: float, sentences: Sequence[float]) -> str:
    """Return the label of a text's score, -1 to 1, given those of its sentences."""
    both = min(max(sentences), -min(sentences))
    if abs(score) < 2 * _NEUTRAL and both >= _NEUTRAL and sum(map(abs, sentences)) >= _MIXED:
        return "mixed"
    return "neutral" if abs(score) < _NEUTRAL else "positive" if score > 0 else "negative"
