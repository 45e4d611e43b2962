"""Small questions to the vision service, asked with a picture of one grey square."""

from __future__ import annotations

import base64

import grpc

from marquee.vision.v1 import vision_service_pb2 as vision_pb
from services.orchestrator.mesh import Mesh, MeshError

GREY_SQUARE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAGElEQVR42mNsYMAPmBhGFYwqGFUwQhUAAJe+AMD8WknZAAAAAElFTkSuQmCC"
)
"""A PNG of 32 by 32 pixels."""
_IMAGE = vision_pb.Image(content=GREY_SQUARE)


async def faces_refused(mesh: Mesh, seconds: float) -> bool:
    """Return whether the operator does not allow faces to be looked for. A whole stream would be refused for it, so it
    is asked before.
    """
    try:
        await mesh.detect_faces([_IMAGE], seconds)
    except MeshError as error:
        return error.code is grpc.StatusCode.PERMISSION_DENIED
    return False


async def vector_model(mesh: Mesh, seconds: float) -> tuple[str, str]:
    """Return name and version of the model that gives pictures and clips their vectors; a stream does not say which of
    its models did.

    Raises:
        MeshError: it does not answer.
    """
    reply = await mesh.embed_images([_IMAGE], seconds)
    return reply.report.model, reply.report.version
