"""How the client's channels behave: balancing, health and retries come from one gRPC service config."""

from __future__ import annotations

import json
from collections.abc import Sequence

ChannelOptions = Sequence[tuple[str, str | int]]
"""Options of a gRPC channel by their names."""

_ENTERTAINMENT = "marquee.entertainment.v1"
_RETRY_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

SERVICE_CONFIG = json.dumps(
    {
        # A target such as dns:///orchestrator:50060 may name several replicas; draining ones get no calls.
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [
            {
                "name": [
                    {"service": f"{_ENTERTAINMENT}.{service}"}
                    for service in (
                        "RecommendationService",
                        "CatalogService",
                        "EventService",
                        "UserService",
                        "BundleService",
                        "RouteService",
                    )
                ],
                "retryPolicy": _RETRY_POLICY,
            },
            # Carried out twice, these would not end as carried out once.
            {
                "name": [
                    {"service": f"{_ENTERTAINMENT}.BundleService", "method": "RollbackBundle"},
                    {"service": f"{_ENTERTAINMENT}.CatalogService", "method": "DeleteItem"},
                    {"service": f"{_ENTERTAINMENT}.RouteService", "method": "DeleteRoute"},
                ]
            },
        ],
        # Retries stop when more than about one call in ten fails: they must not multiply the load.
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }
)

CHANNEL_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    # Shorter than the retries together, so that the first call after a restart of the orchestrator succeeds.
    ("grpc.max_reconnect_backoff_ms", 500),
    # New replicas are looked for whenever a connection ends, and not half a minute later.
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    # A replica that stands still, or vanished without closing its connection, is noticed early enough for its calls to
    # be retried on another one within two seconds.
    ("grpc.keepalive_time_ms", 700),
    ("grpc.keepalive_timeout_ms", 700),
    # Of every ping: while one is out, no other is sent, and those that measure the bandwidth would wait for a minute.
    ("grpc.http2.ping_timeout_ms", 700),
    ("grpc.http2.max_pings_without_data", 0),
]


def with_defaults(options: ChannelOptions) -> list[tuple[str, str | int]]:
    """Return the client's channel options, some of them replaced."""
    return list({**dict(CHANNEL_OPTIONS), **dict(options)}.items())
