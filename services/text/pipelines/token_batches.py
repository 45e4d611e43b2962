"""Texts to token batches: tokenise, group by length, pad, and share runs so that each answer is independent of its
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy
import numpy.typing
from tokenizers import Encoding, Tokenizer

from services.runtime.pipeline import Pipeline, Place, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.runtime.validation import Violations

MAXIMUM_TEXTS = 256
MAXIMUM_CHARACTERS = 10_000
# Tokenising takes about 1 µs for 3 characters: beyond this many the event loop would stand still for milliseconds.
_INLINE_CHARACTERS = 4_000
# Texts share a run with texts of their length class, so that padding never doubles the work.
_LENGTH_CLASSES = (8, 16, 32, 64, 128, 256, 512)

OutputT = TypeVar("OutputT")
ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True)
class TokenBatch:
    """Texts of one model run: int64[B, T] token ids and mask."""

    input_ids: numpy.typing.NDArray[numpy.int64]
    attention_mask: numpy.typing.NDArray[numpy.int64]


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """What was read of a request, and where the texts of each batch stand in it."""

    originals: Sequence[str]
    encodings: Sequence[Encoding]
    positions: Sequence[Sequence[int]]

    @property
    def texts(self) -> int:
        """Number of texts."""
        return len(self.encodings)

    @property
    def tokens(self) -> int:
        """Tokens read, over all texts."""
        return sum(map(len, self.encodings))

    @property
    def cut(self) -> tuple[bool, ...]:
        """Of each text, whether its end was not read."""
        return tuple(bool(encoding.overflowing) for encoding in self.encodings)


class TokenPipeline(Pipeline[Sequence[str], TokenBatch, OutputT, ReplyT]):
    """A text model with its tokeniser; subclasses run it and put the reply together."""

    def __init__(self, model: LoadedModel) -> None:
        self.placement = model.manifest.placement.placement()
        self.max_batch = model.manifest.batching.max_batch
        self.cost_unit = model.manifest.batching.cost_unit
        self._model = model
        self._exact_length = model.manifest.batching.exact_length
        self._tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(model.manifest.limits["max_tokens"])

    def place_of_prepare(self, request: Sequence[str]) -> Place:
        """Tokenise short requests at once and long ones on a thread."""
        return Place.INLINE if sum(map(len, request)) <= _INLINE_CHARACTERS else Place.THREAD

    def prepare(self, request: Sequence[str]) -> Prepared[TokenBatch]:
        """Tokenise the texts and group them by length."""
        if len(request) == 1:
            encodings = [self._tokenizer.encode(request[0])]
            groups: list[list[int]] = [[0]]
        else:
            encodings = self._encode_many(request)
            groups = list(self._group(encodings))
        batches = [_stack(encodings, positions) for positions in groups]
        sizes = [self._size(batch) for batch in batches]
        read = ReadTexts(request, encodings, groups)
        return Prepared(batches, read.tokens, read, sizes)

    def join(self, batches: Sequence[TokenBatch]) -> TokenBatch:
        """Pad batches of one length class to the longest of them."""
        rows, width = sum(len(batch.input_ids) for batch in batches), max(batch.input_ids.shape[1] for batch in batches)
        input_ids = numpy.zeros((rows, width), numpy.int64)
        attention_mask = numpy.zeros((rows, width), numpy.int64)
        row = 0
        for batch in batches:
            end, columns = row + len(batch.input_ids), batch.input_ids.shape[1]
            input_ids[row:end, :columns] = batch.input_ids
            attention_mask[row:end, :columns] = batch.attention_mask
            row = end
        return TokenBatch(input_ids, attention_mask)

    def warmup(self) -> None:
        """Run one text through all three stages."""
        prepared = self.prepare(["A retired detective returns for one last case."])
        self.finish(prepared, [self.run(batch) for batch in prepared.batches])

    def _encode_many(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenise several texts; without the characters' places, which take longer."""
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(list(texts))
        return encodings

    def _group(self, encodings: Sequence[Encoding]) -> Iterator[list[int]]:
        """Yield positions of texts that share a run: neighbours in length, or of equal length where the model demands
        it.
        """
        group: list[int] = []
        for position in sorted(range(len(encodings)), key=lambda index: len(encodings[index].ids)):
            length = len(encodings[position].ids)
            full = len(group) == self.max_batch
            apart = group and self._class_of(len(encodings[group[0]].ids)) != self._class_of(length)
            if group and (full or apart):
                yield group
                group = []
            group.append(position)
        if group:
            yield group

    def _class_of(self, length: int) -> int:
        """Return the length class of a text: its exact length where the model demands that."""
        if self._exact_length:
            return length
        return next((limit for limit in _LENGTH_CLASSES if length <= limit), length)

    def _size(self, batch: TokenBatch) -> Size:
        rows, width = batch.input_ids.shape
        return Size(rows, rows * width, self._class_of(width))


def check_texts(check: Violations, texts: Sequence[str]) -> None:
    """Check the number of texts and each text."""
    if check.count("texts", texts, minimum=1, maximum=MAXIMUM_TEXTS):
        for index, text in enumerate(texts):
            check.text(f"texts[{index}]", text, maximum=MAXIMUM_CHARACTERS)


def read_of(prepared: Prepared[TokenBatch]) -> ReadTexts:
    """Return the state that `prepare` left."""
    if not isinstance(prepared.state, ReadTexts):
        raise TypeError("the state of a token pipeline is what was read")
    return prepared.state


def _stack(encodings: Sequence[Encoding], positions: Sequence[int]) -> TokenBatch:
    if len(positions) == 1:
        only = numpy.array([encodings[positions[0]].ids or [0]], numpy.int64)
        mask = numpy.ones_like(only) if len(encodings[positions[0]]) else numpy.zeros_like(only)
        return TokenBatch(only, mask)
    width = max(1, *(len(encodings[position]) for position in positions))
    input_ids = numpy.zeros((len(positions), width), numpy.int64)
    attention_mask = numpy.zeros((len(positions), width), numpy.int64)
    for row, position in enumerate(positions):
        ids = encodings[position].ids
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return TokenBatch(input_ids, attention_mask)
