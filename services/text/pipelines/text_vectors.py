"""Texts to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

from services.runtime.pipeline import Prepared
from services.runtime.repository.loader import LoadedModel
from services.text.pipelines.token_batches import TokenBatch, TokenPipeline, read_of

Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True)
class TextVectors:
    """Vectors of length one, float32[N, D] in the order of the texts, what was read, and which texts were cut."""

    vectors: Floats
    token_count: int
    cut: tuple[bool, ...]


class TextVectorPipeline(TokenPipeline[Floats, TextVectors]):
    """One text vector model with its tokeniser."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model)
        self.dimensions = model.manifest.outputs[0].shape[-1]

    def run(self, batch: TokenBatch) -> Floats:
        """Run the model once: float32[B, D]."""
        outputs = self._model.onnx.run({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask})
        return outputs["vectors"].astype(numpy.float32, copy=False)

    def split(self, output: Floats, batches: Sequence[TokenBatch]) -> Sequence[Floats]:
        """Return each batch's rows."""
        parts, row = [], 0
        for batch in batches:
            end = row + len(batch.input_ids)
            parts.append(output[row:end])
            row = end
        return parts

    def finish(self, prepared: Prepared[TokenBatch], outputs: Sequence[Floats]) -> TextVectors:
        """Put the vectors back into the order of the texts."""
        read = read_of(prepared)
        if read.texts == 1:
            return TextVectors(outputs[0], read.tokens, read.cut)
        vectors = numpy.empty((read.texts, self.dimensions), numpy.float32)
        for positions, output in zip(read.positions, outputs, strict=True):
            vectors[positions] = output
        return TextVectors(vectors, read.tokens, read.cut)
