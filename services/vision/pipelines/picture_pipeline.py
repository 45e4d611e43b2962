"""What the pipelines of picture models share: read, stack, run in small batches, put the answers together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar, Generic, TypeVar

import numpy
import numpy.typing

from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.image_decoding import ImageLimits
from services.vision.pipelines.picture_request import Picture, read_picture
from services.vision.pipelines.picture_shape import shape_of

Pixels = numpy.typing.NDArray[numpy.uint8]
Floats = numpy.typing.NDArray[numpy.float32]
Outputs = tuple[Floats, ...]
"""The outputs of one run, in the order of `PicturePipeline.outputs`; the first axis of each counts pictures."""

ReplyT = TypeVar("ReplyT")


class PicturePipeline(Pipeline[Sequence[Picture], Pixels, Outputs, ReplyT], Generic[ReplyT]):
    """One network that looks at each picture by itself.

    Its graph takes `pixels` uint8[B, H, W, 3]; `limits` in `model.yaml` say how a picture comes to that size. Pictures
    arrive encoded or decoded; the answer to pixels is that to a lossless file of them.

    Attributes:
        outputs: names of the graph's outputs that are asked for.
        labels: names of the classes.
    """

    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: LoadedModel, limits: ImageLimits) -> None:
        manifest = model.manifest
        self.placement = manifest.placement.placement()
        self.max_batch = manifest.batching.max_batch
        self.cost_unit = manifest.batching.cost_unit
        self.labels = model.labels()
        self._model = model
        self._limits = limits
        self._shape = shape_of(manifest.limits)

    def prepare(self, request: Sequence[Picture]) -> Prepared[Pixels]:
        """Read the pictures and stack neighbours of one size; a picture that cannot be used is named by its field."""
        pictures = [read_picture(index, picture, self._limits, self._shape) for index, picture in enumerate(request)]
        batches = []
        for _, alike in groupby((picture.pixels for picture in pictures), key=lambda pixels: pixels.shape):
            stack = list(alike)
            batches += [
                numpy.stack(stack[start : start + self.max_batch]) for start in range(0, len(stack), self.max_batch)
            ]
        sizes = [Size(len(batch), batch.size // batch.shape[-1], batch.shape[1:]) for batch in batches]
        shown = [(picture.width, picture.height) for picture in pictures]
        return Prepared(batches, sum(size.cost for size in sizes), shown, sizes)

    def run(self, batch: Pixels) -> Outputs:
        """Run the network once."""
        found = self._model.onnx.run({"pixels": batch})
        return tuple(found[name].astype(numpy.float32, copy=False) for name in self.outputs)

    def finish(self, prepared: Prepared[Pixels], outputs: Sequence[Outputs]) -> ReplyT:
        """Join the batches and make the reply of them."""
        joined = (
            outputs[0] if len(outputs) == 1 else tuple(numpy.concatenate(parts) for parts in zip(*outputs, strict=True))
        )
        shown = prepared.state
        assert isinstance(shown, list)
        return self.reply(joined, shown)

    @abstractmethod
    def reply(self, outputs: Outputs, shown: Sequence[tuple[int, int]]) -> ReplyT:
        """Turn outputs and the width and height of each picture as shown, in the order asked, into the reply."""

    def join(self, batches: Sequence[Pixels]) -> Pixels:
        """Put pictures of several requests into one run."""
        return numpy.concatenate(batches)

    def split(self, output: Outputs, batches: Sequence[Pixels]) -> Sequence[Outputs]:
        """Return each batch's rows."""
        parts, row = [], 0
        for batch in batches:
            end = row + len(batch)
            parts.append(tuple(values[row:end] for values in output))
            row = end
        return parts
