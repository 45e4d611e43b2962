"""What a failed call to the vision service means for one feature."""

from __future__ import annotations

import grpc

from marquee.entertainment.v1 import media_service_pb2 as pb
from services.orchestrator.content.media.features import FACES, Feature
from services.orchestrator.content.model_errors import error_details
from services.orchestrator.mesh import MeshError
from services.runtime.errors import FieldViolation, InvalidRequest

NOT_ALLOWED = "FACES_NOT_ALLOWED"
_NO_MODEL = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNIMPLEMENTED})
_FIELDS = {"images[0].content": "image", "images[0].content_type": "content_type"}


def faces_not_allowed() -> pb.MediaFailure:
    """Return why nobody's faces were looked for; that is the operator's wish, not a failure of ours."""
    return pb.MediaFailure(
        feature=FACES,
        reason=NOT_ALLOWED,
        message="faces are looked for only where the operator allows it for the tenant",
    )


def failure_of(feature: Feature, error: MeshError) -> pb.MediaFailure:
    """Return what became of a feature whose call failed."""
    if feature == FACES and error.code is grpc.StatusCode.PERMISSION_DENIED:
        return faces_not_allowed()
    if error.code in _NO_MODEL:
        reason, message = "MODEL_UNAVAILABLE", "the vision service has no model for it; ask the operator to add one"
    elif error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        reason, message = "SERVICE_OVERLOADED", "the vision service has too much to do; try again later"
    elif error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        reason, message = "DEADLINE_EXCEEDED", "the vision service did not answer in time; give it more, or try later"
    else:
        reason, message = "SERVICE_UNAVAILABLE", f"{error.summary()}; try again later"
    return pb.MediaFailure(feature=feature, reason=reason, message=message)


def refused_picture(error: MeshError) -> InvalidRequest | None:
    """Return the error for our caller when the picture itself was refused, by the names of our own fields."""
    if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
        return None
    info, violations, _ = error_details(error.cause)
    named = [FieldViolation(_FIELDS[one.field], one.description) for one in violations if one.field in _FIELDS]
    return InvalidRequest(named, info.reason or "INVALID_PICTURE") if named else None
