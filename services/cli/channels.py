"""Opens the commands' channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from marquee_client import Tls

Options = Sequence[tuple[str, Any]]


def open_channel(address: str, options: Options = (), tls: Tls | None = None) -> grpc.Channel:
    """Return a channel; with TLS where `tls` is given."""
    if tls is None:
        return grpc.insecure_channel(address, options=list(options))
    return grpc.secure_channel(address, tls.credentials(), options=[*options, *tls.options()])


def open_async_channel(address: str, options: Options = (), tls: Tls | None = None) -> grpc.aio.Channel:
    """Return a channel for asyncio; with TLS where `tls` is given."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=list(options))
    return grpc.aio.secure_channel(address, tls.credentials(), options=[*options, *tls.options()])


def local_tls(service: str, environment: Mapping[str, str]) -> Tls | None:
    """Return how to speak with a service of this machine that is started with these variables: with TLS if they give it
    a certificate, else in plaintext, whatever the commands speak elsewhere.
    """
    if not environment.get(f"MARQUEE_{service.upper()}_TLS_CERTIFICATE_FILE"):
        return None
    authorities, certificate, key = (
        environment.get(f"MARQUEE_TLS_{name}_FILE") for name in ("CA", "CERTIFICATE", "KEY")
    )
    return Tls(authorities, certificate, key, environment.get("MARQUEE_TLS_SERVER_NAME", ""))
