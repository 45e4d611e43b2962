"""Texts to vectors: tokenise, run the model in batches that leave each answer independent of its neighbours, return
unit vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
import numpy.typing
from tokenizers import Encoding, Tokenizer

from services.runtime.pipeline import Pipeline, Place, Prepared
from services.runtime.repository.loader import LoadedModel
from services.runtime.validation import Violations

MAXIMUM_TEXTS = 256
MAXIMUM_CHARACTERS = 10_000
# Tokenising takes about 1 µs for 3 characters: beyond this many the event loop would stand still for milliseconds.
_INLINE_CHARACTERS = 4_000

Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True)
class TokenBatch:
    """Texts of one model run: int64[B, T] token ids and mask, and the place of each text in the request."""

    input_ids: numpy.typing.NDArray[numpy.int64]
    attention_mask: numpy.typing.NDArray[numpy.int64]
    positions: Sequence[int]


@dataclass(frozen=True)
class TextVectors:
    """Vectors of length one, float32[N, D] in the order of the texts, and what was read."""

    vectors: Floats
    token_count: int
    truncated_count: int


@dataclass(frozen=True)
class _Read:
    texts: int
    tokens: int
    truncated: int


class TextVectorPipeline(Pipeline[Sequence[str], TokenBatch, Floats, TextVectors]):
    """One text vector model with its tokeniser."""

    def __init__(self, model: LoadedModel) -> None:
        self.placement = model.manifest.placement.placement()
        self._model = model
        self._batching = model.manifest.batching
        self._tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(model.manifest.limits["max_tokens"])
        self.dimensions = model.manifest.outputs[0].shape[-1]

    def place_of_prepare(self, request: Sequence[str]) -> Place:
        """Tokenise short requests at once and long ones on a thread."""
        return Place.INLINE if sum(map(len, request)) <= _INLINE_CHARACTERS else Place.THREAD

    def prepare(self, request: Sequence[str]) -> Prepared[TokenBatch]:
        """Tokenise the texts and group them by length."""
        encodings = self._tokenizer.encode_batch(list(request))
        batches = [_stack(encodings, positions) for positions in self._group(encodings)]
        truncated = sum(1 for encoding in encodings if encoding.overflowing)
        tokens = sum(len(encoding.ids) for encoding in encodings)
        return Prepared(batches, cost=tokens, state=_Read(len(encodings), tokens, truncated))

    def run(self, batch: TokenBatch) -> Floats:
        """Run the model once: float32[B, D]."""
        outputs = self._model.onnx.run({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask})
        return outputs["vectors"].astype(numpy.float32, copy=False)

    def finish(self, prepared: Prepared[TokenBatch], outputs: Sequence[Floats]) -> TextVectors:
        """Put the vectors back into the order of the texts."""
        read = prepared.state
        if not isinstance(read, _Read):
            raise TypeError("the state of text vectors is what was read")
        vectors = numpy.empty((read.texts, self.dimensions), numpy.float32)
        for batch, output in zip(prepared.batches, outputs, strict=True):
            vectors[list(batch.positions)] = output
        return TextVectors(vectors, read.tokens, read.truncated)

    def warmup(self) -> None:
        """Run one text through all three stages."""
        prepared = self.prepare(["A retired detective returns for one last case."])
        self.finish(prepared, [self.run(batch) for batch in prepared.batches])

    def _group(self, encodings: Sequence[Encoding]) -> Iterator[list[int]]:
        """Yield positions of texts that share a run: neighbours in length, or of equal length where the model demands
        it.
        """
        group: list[int] = []
        for position in sorted(range(len(encodings)), key=lambda index: len(encodings[index].ids)):
            length = len(encodings[position].ids)
            full = len(group) == self._batching.max_batch
            if group and (full or (self._batching.exact_length and len(encodings[group[0]].ids) != length)):
                yield group
                group = []
            group.append(position)
        if group:
            yield group


def check_texts(check: Violations, texts: Sequence[str]) -> None:
    """Check the number of texts and each text."""
    if check.count("texts", texts, minimum=1, maximum=MAXIMUM_TEXTS):
        for index, text in enumerate(texts):
            check.text(f"texts[{index}]", text, maximum=MAXIMUM_CHARACTERS)


def _stack(encodings: Sequence[Encoding], positions: Sequence[int]) -> TokenBatch:
    width = max(1, *(len(encodings[position].ids) for position in positions))
    input_ids = numpy.zeros((len(positions), width), numpy.int64)
    attention_mask = numpy.zeros((len(positions), width), numpy.int64)
    for row, position in enumerate(positions):
        ids = encodings[position].ids
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return TokenBatch(input_ids, attention_mask, positions)
