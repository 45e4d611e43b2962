"""The content models of the catalogue, answered by the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from marquee.common.v1.media_pb2 import MediaLabel
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from services.orchestrator.catalog.content_models import TextVectors
from services.orchestrator.mesh import Mesh, MeshError
from services.orchestrator.store.records import DescribedPicture, ItemVector, UndescribedPicture

PICTURE_LABELS = 3
"""Labels that an item keeps of its picture."""
# A label the network hardly believes in would only mislead search and filters.
_LOWEST_PROBABILITY = 0.1


class MeshContentModels:
    """Implements `ContentModels` with the text and the vision service; failures come up as gRPC errors.

    Args:
        mesh: the model services.
        seconds: longest wait for one call.
    """

    def __init__(self, mesh: Mesh, seconds: float) -> None:
        self._mesh = mesh
        self._seconds = seconds

    async def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return one vector a text."""
        try:
            answer = await self._mesh.embed_texts(texts, self._seconds)
        except MeshError as error:
            raise error.cause from error
        return TextVectors([vector.values for vector in answer.vectors], answer.report.model, answer.report.version)

    async def describe_pictures(self, pictures: Sequence[UndescribedPicture]) -> Sequence[DescribedPicture]:
        """Return labels and a vector for each picture."""
        images = [vision_pb.Image(content=picture.content, content_type=picture.content_type) for picture in pictures]
        try:
            vectors = await self._mesh.embed_images(images, self._seconds)
            labels = await self._mesh.classify_images(images, PICTURE_LABELS, self._seconds)
        except MeshError as error:
            raise error.cause from error
        return [
            DescribedPicture(
                kept_labels(result.labels),
                ItemVector(vector.values, vectors.report.model, vectors.report.version),
            )
            for vector, result in zip(vectors.vectors, labels.results, strict=True)
        ]


def kept_labels(labels: Iterable[vision_pb.ImageLabel | MediaLabel]) -> tuple[str, ...]:
    """Return what an item keeps of its picture's labels, given most probable first."""
    return tuple(label.label for label in labels if label.probability >= _LOWEST_PROBABILITY)[:PICTURE_LABELS]
