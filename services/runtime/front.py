"""What stands between the network and the handlers: grpcio's own server, or one whose HTTP/2 is done in Rust."""

from __future__ import annotations

from typing import cast

import grpc

from services.runtime.logs import get_logger
from services.runtime.settings import ServiceSettings
from services.runtime.startup import CannotStart, setting_name
from services.runtime.tls import TLS_FIELDS

_LARGEST_OPTION = 2**31 - 1
_logger = get_logger(__name__)


def open_front(settings: ServiceSettings) -> grpc.aio.Server:
    """Return the server that the settings ask for; it does not listen yet.

    Raises:
        CannotStart: the native front is asked for and not installed, or asked for what it cannot do.
    """
    options = [
        # Twice our own limit: the handlers answer with details, the transport only guards memory.
        ("grpc.max_receive_message_length", min(settings.maximum_message_bytes * 2, _LARGEST_OPTION)),
        ("grpc.max_send_message_length", -1),
        # Clients ping after 0.7 s of silence to notice a replica that stands still; more often than that is rude.
        ("grpc.http2.min_ping_interval_without_data_ms", 400),
        # Two processes must not share a port unnoticed.
        ("grpc.so_reuseport", 0),
    ]
    age = settings.maximum_connection_age_seconds
    if age:
        options += [
            ("grpc.max_connection_age_ms", max(1, round(age * 1000))),
            ("grpc.max_connection_age_grace_ms", round(settings.maximum_connection_grace_seconds * 1000)),
        ]
    if settings.front == "grpc":
        return grpc.aio.server(options=options)
    for field in TLS_FIELDS:
        if getattr(settings, field) is not None:
            raise CannotStart(
                f"{setting_name(settings, field)}: the native front knows no TLS; set "
                f"{setting_name(settings, 'front')} to grpc, or let a proxy do TLS"
            )
    if age:
        _logger.warning("the native front keeps connections whatever their age", setting="front")
    try:
        # By its full name: `from pygrpc_native import aio` recurses without end in 0.5.0.
        import pygrpc_native.aio  # noqa: PLC0415  # only who chose it needs it
    except ImportError as error:
        raise CannotStart(
            'the native front is not installed; run `pip install "marquee[native]"`, or leave the setting front at grpc'
        ) from error
    return cast("grpc.aio.Server", pygrpc_native.aio.server(options=options))
