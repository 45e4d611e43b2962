"""Python client of Marquee, the entertainment Model-as-a-Service mesh. Needs grpcio and protobuf only.

Example:
    >>> from marquee_client import MarqueeClient  # doctest: +SKIP
    >>> with MarqueeClient("127.0.0.1:50060") as client:  # doctest: +SKIP
    ...     response = client.recommend("196", page_size=5)

Requests and answers are the messages of the contracts, for example
`from marquee.entertainment.v1.event_service_pb2 import Event`.
"""

from __future__ import annotations

from marquee_client.async_client import AsyncMarqueeClient
from marquee_client.client import MarqueeClient
from marquee_client.errors import (
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidArgument,
    MarqueeError,
    NotFound,
    PermissionDenied,
    QuotaViolation,
    Resource,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from marquee_client.media import ClipWishes, MediaWishes
from marquee_client.options import ListOptions, RecommendOptions, SearchOptions
from marquee_client.tls import Tls
from marquee_client.writing import GenerationWishes, WritingWishes

__all__ = [
    "AsyncMarqueeClient",
    "Cancelled",
    "ClipWishes",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "GenerationWishes",
    "InternalError",
    "InvalidArgument",
    "ListOptions",
    "MarqueeClient",
    "MarqueeError",
    "MediaWishes",
    "NotFound",
    "PermissionDenied",
    "QuotaViolation",
    "RecommendOptions",
    "Resource",
    "ResourceExhausted",
    "SearchOptions",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "WritingWishes",
]
