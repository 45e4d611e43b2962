"""The errors of the client: one small tree, so that a caller catches what it can act on.

```text
MarqueeError
├── InvalidArgument      the request is wrong; `field_violations` says where; sending it again is no use
├── NotFound             the user, item or bundle does not exist; `resource` names it
├── FailedPrecondition   something must happen first, for example a training; the message says what
├── ResourceExhausted    too much at once, or too large; `retry_after` says when to try again
├── Unavailable          nobody answered, or the service is starting or draining; trying again is harmless
├── DeadlineExceeded     the answer did not come in time
├── PermissionDenied     the caller may not do this
├── Unauthenticated      the caller did not say who it is
├── Unimplemented        the server is older than this client
├── Cancelled            the caller gave up
└── InternalError        a fault of the server; quote `request_id` when you report it
```

Status codes without a class of their own arrive as `MarqueeError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc


@dataclass(frozen=True)
class FieldViolation:
    """One invalid field of the request: its path, for example `items[3].title`, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True)
class QuotaViolation:
    """One limit that was reached: what it counts, and how it stands."""

    subject: str
    description: str


@dataclass(frozen=True)
class Resource:
    """What was not found: its type, for example "item", and its name."""

    type: str
    name: str


class MarqueeError(Exception):
    """A call failed.

    Attributes:
        code: gRPC status code.
        message: one sentence for a person that says what to do next.
        reason: constant for programs, for example "INVALID_FIELD"; empty when no Marquee service answered.
        field_violations: invalid fields of the request.
        metadata: further facts for programs.
        retry_after: seconds after which trying again makes sense; None when the server did not say.
        quota_violations: limits that were reached.
        resource: what was not found; None for other errors.
        request_id: id of the call, as the logs of the services know it.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        field_violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        quota_violations: Sequence[QuotaViolation] = (),
        resource: Resource | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.field_violations = tuple(field_violations)
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.quota_violations = tuple(quota_violations)
        self.resource = resource
        self.request_id = request_id


class InvalidArgument(MarqueeError):
    """The request is wrong; `field_violations` names each invalid field."""


class NotFound(MarqueeError):
    """The user, item or bundle does not exist; `resource` names it."""


class FailedPrecondition(MarqueeError):
    """Something must happen before this call; the message says what."""


class ResourceExhausted(MarqueeError):
    """Too much at once, or too large; `retry_after` says when to try again, where that helps."""


class Unavailable(MarqueeError):
    """Nobody answered, or the service is starting or draining; `reason` is empty when nothing was reached."""


class DeadlineExceeded(MarqueeError):
    """The answer did not come in time. The call may have been carried out nevertheless."""


class PermissionDenied(MarqueeError):
    """The caller may not do this."""


class Unauthenticated(MarqueeError):
    """The caller did not say who it is."""


class Unimplemented(MarqueeError):
    """The server does not know this call: it is older than this client, or it is no orchestrator."""


class Cancelled(MarqueeError):
    """The call was given up before its answer came."""


class InternalError(MarqueeError):
    """A fault of the server; quote `request_id` when you report it."""
