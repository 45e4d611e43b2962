"""Texts to the probabilities of labels that a model was trained for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

from marquee.text.v1 import text_service_pb2 as pb
from services.runtime.pipeline import Prepared
from services.runtime.repository.loader import LoadedModel
from services.text.pipelines.token_batches import TokenBatch, TokenPipeline, read_of

Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True)
class LabelProbabilities:
    """Probabilities float32[N, L] in the order of the texts and of the model's labels, and which texts were cut."""

    probabilities: Floats
    cut: tuple[bool, ...]


class TextClassificationPipeline(TokenPipeline[Floats, LabelProbabilities]):
    """One classification model with its tokeniser. Its graph gives `probabilities`, float32[B, L]; `labels.txt` names
    the columns.

    Raises:
        ValueError: the model names no labels.
    """

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model)
        self.labels = model.label_names
        if not self.labels:
            raise ValueError(f"{model.manifest.name} has no labels; model.yaml must name their file")

    def run(self, batch: TokenBatch) -> Floats:
        """Run the model once: float32[B, L]."""
        outputs = self._model.onnx.run({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask})
        return outputs["probabilities"].astype(numpy.float32, copy=False)

    def split(self, output: Floats, batches: Sequence[TokenBatch]) -> Sequence[Floats]:
        """Return each batch's rows."""
        ends = numpy.cumsum([len(batch.input_ids) for batch in batches])
        return numpy.split(output, ends[:-1])

    def finish(self, prepared: Prepared[TokenBatch], outputs: Sequence[Floats]) -> LabelProbabilities:
        """Put the probabilities back into the order of the texts."""
        read = read_of(prepared)
        probabilities = numpy.empty((read.texts, len(self.labels)), numpy.float32)
        for positions, output in zip(read.positions, outputs, strict=True):
            probabilities[positions] = output
        return LabelProbabilities(probabilities, read.cut)


def best_labels(
    probabilities: Floats, labels: Sequence[str], top_count: int, cut: Sequence[bool]
) -> list[pb.TextClassification]:
    """Return the most probable labels of each text.

    Args:
        probabilities: float32[N, L], a row a text.
        labels: the L labels.
        top_count: labels to return for each text, at most L.
        cut: of each text, whether its end was not read.
    """
    # A stable sort keeps the model's order among equal probabilities.
    order = numpy.argsort(-probabilities, axis=1, kind="stable")[:, :top_count]
    return [
        pb.TextClassification(
            labels=[pb.TextLabel(label=labels[column], score=float(row[column])) for column in best],
            truncated=truncated,
        )
        for row, best, truncated in zip(probabilities, order, cut, strict=True)
    ]
