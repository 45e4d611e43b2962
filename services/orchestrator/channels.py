"""Channels to the model services. One gRPC service config does round robin over healthy pods, retries and the retry
budget; TLS files that are replaced are used without an interruption.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Literal

import grpc

from services.orchestrator.settings import OrchestratorSettings
from services.runtime.startup import CannotStart, setting_name
from services.runtime.tls import PemFiles, Setting, channel_credentials

Family = Literal["text", "vision", "classical"]
FAMILIES: tuple[Family, ...] = ("text", "vision", "classical")
CONTRACTS: dict[Family, str] = {
    "text": "marquee.text.v1.TextService",
    "vision": "marquee.vision.v1.VisionService",
    "classical": "marquee.classical.v1.ClassicalService",
}
_LOOK_SECONDS = 5.0
_LONGEST_CALL_SECONDS = 3600.0
_CLOSING_SECONDS = 2.0


def service_config(contract: str) -> str:
    """Return the gRPC service config of a channel to `contract`."""
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": contract},
            "methodConfig": [
                {
                    "name": [{}],
                    "retryPolicy": {
                        "maxAttempts": 3,
                        "initialBackoff": "0.01s",
                        "maxBackoff": "0.1s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ],
            # Retries stop when more than about one call in ten fails, so that they never double the load of a sick
            # service.
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        }
    )


def tls_files(settings: OrchestratorSettings) -> PemFiles | None:
    """Return the files for TLS with the model services, None when the settings name none.

    Raises:
        CannotStart: the settings do not go together; the message names the one that is missing.
    """
    certificate, key, authorities = (
        Setting(setting_name(settings, name), getattr(settings, name))
        for name in ("mesh_tls_certificate_file", "mesh_tls_key_file", "mesh_tls_ca_file")
    )
    if authorities.path is None:
        for one in (certificate, key):
            if one.path is not None:
                raise CannotStart(f"{authorities.name} is not set; {one.name} needs it")
        return None
    return PemFiles(certificate, key, authorities)


class Channels:
    """One channel a service, each opened anew when the TLS files were replaced; calls in flight end where they began.

    Args:
        addresses: gRPC target of each service.
        tls: files for TLS; None speaks plaintext. With it, they are made inside the running event loop.
        opened: called with the channels whenever there are new ones; from its return on, the old ones take no calls.
        look_seconds: time between two looks at the files.

    Raises:
        CannotStart: a file cannot be used; the message names the setting.
    """

    def __init__(
        self,
        addresses: Mapping[Family, str],
        tls: PemFiles | None,
        opened: Callable[[Mapping[Family, grpc.aio.Channel]], None],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._addresses = addresses
        self._opened = opened
        self._look_seconds = look_seconds
        self._leaving: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._channels = self._open(None if tls is None else channel_credentials(tls.read()))
        opened(self._channels)
        self._watching = None if tls is None else asyncio.create_task(self._watch(tls))

    async def close(self) -> None:
        """Close the channels."""
        if self._watching is not None:
            self._watching.cancel()
        leaving = dict(self._leaving)
        # gRPC ignores a second close, and a cancelled one leaves its calls alone: ended calls let the first one finish.
        for channel in leaving.values():
            for call in tuple(getattr(channel, "_active_calls", ())):
                call.cancel()
        if leaving:
            for late in (await asyncio.wait(leaving, timeout=_CLOSING_SECONDS))[1]:
                late.cancel()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    def _open(self, credentials: grpc.ChannelCredentials | None) -> dict[Family, grpc.aio.Channel]:
        return {
            family: _open_channel(address, CONTRACTS[family], credentials)
            for family, address in self._addresses.items()
        }

    async def _watch(self, tls: PemFiles) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            pem = await asyncio.to_thread(tls.changed)
            if pem is None:
                continue
            old, self._channels = self._channels, self._open(channel_credentials(pem))
            self._opened(self._channels)
            for channel in old.values():
                task = asyncio.create_task(channel.close(_LONGEST_CALL_SECONDS))
                self._leaving[task] = channel
                task.add_done_callback(self._leaving.pop)


def _open_channel(address: str, contract: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", service_config(contract)),
        # A service that comes back is used again within a second, not after two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # New replicas are looked for whenever a connection ends, and not half a minute later.
        ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        ("grpc.max_receive_message_length", 64 << 20),
        ("grpc.max_send_message_length", 128 << 20),
        # A stopped peer is noticed although its connection stays open.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
    ]
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)
