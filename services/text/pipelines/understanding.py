"""Texts to sentiment, emotions and toxicity with spans: one run of the trunk for all tasks."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy
import numpy.typing
from tokenizers import Encoding

from marquee.text.v1 import text_service_pb2 as pb
from services.runtime.pipeline import Prepared
from services.runtime.repository.loader import LoadedModel
from services.text.pipelines.heads import LabelHead, read_heads
from services.text.pipelines.token_batches import TokenBatch, TokenPipeline, read_of

Floats = numpy.typing.NDArray[numpy.float32]
Outputs = Mapping[str, Floats]
# Never a reason for an overflow, and a probability that float32 tells from 0 and 1.
_LARGEST_LOGIT = 30.0
_UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class Understood:
    """What was said of each text, all tasks, and what was read."""

    results: Sequence[pb.TextUnderstanding]
    token_count: int
    truncated_count: int


class UnderstandingPipeline(TokenPipeline[Outputs, Understood]):
    """One model for understanding with its tokeniser and its heads."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model)
        self._heads = read_heads(model.folder)
        self._unknown = self._tokenizer.token_to_id(_UNKNOWN)

    @property
    def tasks(self) -> frozenset[int]:
        """The tasks the model does, as numbers of `UnderstandingTask`."""
        has = {
            pb.UNDERSTANDING_TASK_SENTIMENT: self._heads.sentiment,
            pb.UNDERSTANDING_TASK_EMOTION: self._heads.emotion is not None,
            pb.UNDERSTANDING_TASK_TOXICITY: self._heads.toxicity is not None,
        }
        return frozenset(task for task, there in has.items() if there)

    def run(self, batch: TokenBatch) -> Outputs:
        """Run the model once: its outputs by name, rows in the order of the batch."""
        return self._model.onnx.run({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask})

    def split(self, output: Outputs, batches: Sequence[TokenBatch]) -> Sequence[Outputs]:
        """Return each batch's rows of each output."""
        parts, row = [], 0
        for batch in batches:
            end = row + len(batch.input_ids)
            parts.append({name: values[row:end] for name, values in output.items()})
            row = end
        return parts

    def finish(self, prepared: Prepared[TokenBatch], outputs: Sequence[Outputs]) -> Understood:
        """Read the outputs, in the order of the texts."""
        read = read_of(prepared)
        results: dict[int, pb.TextUnderstanding] = {}
        for positions, output in zip(read.positions, outputs, strict=True):
            for row, position in enumerate(positions):
                values = {name: value[row] for name, value in output.items()}
                results[position] = self._result(values, read.encodings[position], read.originals[position])
        return Understood([results[position] for position in range(read.texts)], read.tokens, sum(read.cut))

    def _encode_many(self, texts: Sequence[str]) -> list[Encoding]:
        # The slower form, because spans need the characters' places.
        encodings: list[Encoding] = self._tokenizer.encode_batch(list(texts))
        return encodings

    def _result(self, values: Outputs, encoding: Encoding, text: str) -> pb.TextUnderstanding:
        result = pb.TextUnderstanding(truncated=bool(encoding.overflowing))
        if self._heads.sentiment:
            score, logit = values["sentiment"]
            result.sentiment.score = float(numpy.tanh(score))
            result.sentiment.positive_probability = float(_probability(logit))
        if self._heads.emotion is not None:
            result.emotions.extend(_emotions(self._heads.emotion, values["emotion"]))
        if self._heads.toxicity is not None:
            toxicity = values["toxicity"][: len(encoding)].copy()
            toxicity[self._pictures(encoding, text)] = -_LARGEST_LOGIT
            result.toxicity.extend(_toxicity(self._heads.toxicity, toxicity, encoding, self._heads.span_probability))
        return result

    def _pictures(self, encoding: Encoding, text: str) -> list[int]:
        """Return the places of tokens that the vocabulary lacks and that hold no letter: most emoji.

        Fitting met unknown tokens as disguised words, so the model takes an emoji alone for one.
        """
        unknown = [place for place, token in enumerate(encoding.ids) if token == self._unknown]
        return [place for place in unknown if not any(map(_is_letter, text[slice(*encoding.offsets[place])]))]


def keep_tasks(result: pb.TextUnderstanding, tasks: frozenset[int]) -> pb.TextUnderstanding:
    """Return the result with the fields of those tasks only."""
    kept = pb.TextUnderstanding()
    kept.CopyFrom(result)
    for task, field in (
        (pb.UNDERSTANDING_TASK_SENTIMENT, "sentiment"),
        (pb.UNDERSTANDING_TASK_EMOTION, "emotions"),
        (pb.UNDERSTANDING_TASK_TOXICITY, "toxicity"),
    ):
        if task not in tasks:
            kept.ClearField(field)  # type: ignore[arg-type]
    return kept


def _emotions(head: LabelHead, logits: Floats) -> list[pb.EmotionScore]:
    found = _probability(logits)
    return [
        pb.EmotionScore(label=head.labels[k], probability=float(found[k]), present=bool(found[k] >= head.thresholds[k]))
        for k in numpy.argsort(-found, kind="stable")
    ]


def _toxicity(head: LabelHead, logits: Floats, encoding: Encoding, least: float) -> list[pb.ToxicityScore]:
    """Read token logits [T, categories]: a text is as toxic as its tokens together."""
    if not len(logits):
        logits = numpy.full((1, len(head.labels)), -_LARGEST_LOGIT, numpy.float32)
    top = logits.max(axis=0)
    found = _probability(top + numpy.log(numpy.exp(logits - top).sum(axis=0)))
    scores = []
    for k in numpy.argsort(-found, kind="stable"):
        present = bool(found[k] >= head.thresholds[k])
        spans = _spans(_probability(logits[:, k]), encoding, least) if present else []
        scores.append(
            pb.ToxicityScore(category=head.labels[k], probability=float(found[k]), present=present, spans=spans)
        )
    return scores


def _spans(tokens: Floats, encoding: Encoding, least: float) -> list[pb.TextSpan]:
    """Return the words that hold a token of at least that probability, or the most probable one; neighbours joined."""
    chosen = tokens >= min(least, float(tokens.max()))
    words = {encoding.word_ids[k] for k in numpy.flatnonzero(chosen)} - {None}
    spans: list[pb.TextSpan] = []
    for word in sorted(word for word in words if word is not None):
        place = encoding.word_to_chars(word)
        if place is None:
            continue
        start, end = place
        if spans and start - spans[-1].end <= 1:
            spans[-1].end = end
        else:
            spans.append(pb.TextSpan(start=start, end=end))
    return spans


@lru_cache(maxsize=4096)
def _is_letter(character: str) -> bool:
    """Return whether a character is a letter, or one in a circle or square or on a flag."""
    return character.isalpha() or "LETTER" in unicodedata.name(character, "")


def _probability(logits: Floats) -> Floats:
    result: Floats = (1 / (1 + numpy.exp(-numpy.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))).astype(numpy.float32)
    return result
