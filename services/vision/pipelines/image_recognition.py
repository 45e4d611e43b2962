"""Pictures to class probabilities and vectors: decode, crop, run the network in small batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.runtime.validation import Violations
from services.vision.pipelines.image_decoding import ImageLimits, ImageRefused, SquareCrop, decode_image

MAXIMUM_IMAGES = 16

Pixels = numpy.typing.NDArray[numpy.uint8]
Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True)
class Recognition:
    """float32[N, classes] probabilities and float32[N, D] unit vectors, in the order of the pictures."""

    probabilities: Floats
    vectors: Floats


class ImageRecognitionPipeline(Pipeline[Sequence[pb.Image], Pixels, Recognition, Recognition]):
    """One image classification network; its pooled features serve as vectors."""

    def __init__(self, model: LoadedModel, limits: ImageLimits) -> None:
        self.placement = model.manifest.placement.placement()
        self.labels = model.labels()
        self.dimensions = next(output.shape[-1] for output in model.manifest.outputs if output.name == "vectors")
        self._model = model
        self._limits = limits
        self.max_batch = model.manifest.batching.max_batch
        self.cost_unit = model.manifest.batching.cost_unit
        limits_of_model = model.manifest.limits
        self._crop = SquareCrop(limits_of_model["side"], limits_of_model["resize_side"])

    def prepare(self, request: Sequence[pb.Image]) -> Prepared[Pixels]:
        """Decode the pictures: uint8[B, 224, 224, 3] a batch; a picture that cannot be used is named by its field."""
        pixels = [self._decode(index, image) for index, image in enumerate(request)]
        step = self.max_batch
        batches = [numpy.stack(pixels[start : start + step]) for start in range(0, len(pixels), step)]
        sizes = [Size(len(batch), batch.size // batch.shape[-1], batch.shape[1:]) for batch in batches]
        return Prepared(batches, sum(size.cost for size in sizes), None, sizes)

    def run(self, batch: Pixels) -> Recognition:
        """Run the network once."""
        outputs = self._model.onnx.run({"pixels": batch})
        return Recognition(
            outputs["probabilities"].astype(numpy.float32, copy=False),
            outputs["vectors"].astype(numpy.float32, copy=False),
        )

    def finish(self, prepared: Prepared[Pixels], outputs: Sequence[Recognition]) -> Recognition:
        """Join the batches."""
        if len(outputs) == 1:
            return outputs[0]
        return Recognition(
            numpy.concatenate([output.probabilities for output in outputs]),
            numpy.concatenate([output.vectors for output in outputs]),
        )

    def join(self, batches: Sequence[Pixels]) -> Pixels:
        """Put pictures of several requests into one run."""
        return numpy.concatenate(batches)

    def split(self, output: Recognition, batches: Sequence[Pixels]) -> Sequence[Recognition]:
        """Return each batch's rows."""
        parts, row = [], 0
        for batch in batches:
            end = row + len(batch)
            parts.append(Recognition(output.probabilities[row:end], output.vectors[row:end]))
            row = end
        return parts

    def _decode(self, index: int, image: pb.Image) -> Pixels:
        try:
            return decode_image(image.content, self._limits, image.content_type, self._crop)
        except ImageRefused as error:
            field = "content_type" if error.reason == "IMAGE_MISLABELLED" else "content"
            violation = FieldViolation(f"images[{index}].{field}", error.description)
            raise InvalidRequest([violation], error.reason) from error


def check_images(check: Violations, images: Sequence[pb.Image]) -> None:
    """Check the number of pictures; each picture is checked when it is decoded."""
    check.count("images", images, minimum=1, maximum=MAXIMUM_IMAGES)


def images_key(images: Sequence[pb.Image]) -> bytes:
    """Return canonical bytes of pictures, for the response cache."""
    parts = [image.SerializeToString(deterministic=True) for image in images]
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def top_labels(probabilities: Floats, labels: Sequence[str], count: int) -> pb.ImageClassification:
    """Return the `count` most probable labels of one picture from its float32[classes] probabilities."""
    order = numpy.argsort(-probabilities, kind="stable")[:count]
    return pb.ImageClassification(
        labels=[
            pb.ImageLabel(label=labels[index], class_index=int(index), probability=float(probabilities[index]))
            for index in order
        ]
    )
