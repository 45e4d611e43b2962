"""Faces to expressions: what the face shows, which is not what the person feels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from marquee.common.v1 import media_pb2
from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.picture_pipeline import Floats, Pixels

TASK = "face-expression"


class FaceExpressionPipeline(Pipeline[Pixels, Pixels, Floats, Floats]):
    """One expression network: uint8[N, side, side] grey squares, at least one, to float32[N, classes] probabilities.

    Attributes:
        labels: names of the classes.
        side: height and width of the squares.
    """

    def __init__(self, model: LoadedModel) -> None:
        manifest = model.manifest
        self.placement = manifest.placement.placement()
        self.max_batch = manifest.batching.max_batch
        self.cost_unit = manifest.batching.cost_unit
        self.labels = model.labels()
        self.side = manifest.limits["side"]
        self._model = model

    def prepare(self, request: Pixels) -> Prepared[Pixels]:
        """Cut the squares into batches."""
        step = self.max_batch
        batches = [request[start : start + step, :, :, None] for start in range(0, len(request), step)]
        sizes = [Size(len(batch), batch.size, batch.shape[1:]) for batch in batches]
        return Prepared(batches, request.size, None, sizes)

    def run(self, batch: Pixels) -> Floats:
        """Run the network once."""
        return self._model.onnx.run({"faces": batch})["probabilities"].astype(numpy.float32, copy=False)

    def finish(self, prepared: Prepared[Pixels], outputs: Sequence[Floats]) -> Floats:
        """Put the batches together."""
        return outputs[0] if len(outputs) == 1 else numpy.concatenate(outputs)

    def join(self, batches: Sequence[Pixels]) -> Pixels:
        """Put squares of several requests into one run."""
        return numpy.concatenate(batches)

    def split(self, output: Floats, batches: Sequence[Pixels]) -> Sequence[Floats]:
        """Return each batch's rows."""
        ends = numpy.cumsum([len(batch) for batch in batches])[:-1]
        return numpy.split(output, ends)


def expression_labels(probabilities: Floats, labels: Sequence[str]) -> list[media_pb2.MediaLabel]:
    """Return every expression of one face with its probability, most probable first, from float32[classes]."""
    order = numpy.argsort(-probabilities, kind="stable")
    return [media_pb2.MediaLabel(label=labels[index], probability=float(probabilities[index])) for index in order]
