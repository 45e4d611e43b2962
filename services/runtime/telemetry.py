"""What a service notes about its work: metrics, usage, traces and the access log, behind what the hot paths call."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of_package
from typing import Any

import grpc

from services.runtime.observability.access_log import AccessLog
from services.runtime.observability.certificate_expiry import expiry
from services.runtime.observability.exposition import MetricsEndpoint
from services.runtime.observability.metrics import Metrics
from services.runtime.observability.tracing import Tracing
from services.runtime.observability.usage import UsageMeter
from services.runtime.observability.usage_journal import UsageJournal
from services.runtime.request_context import RequestContext
from services.runtime.settings import ServiceSettings

# Asked every second by the orchestrator; only their failures are worth a line.
_ROUTINE = ("/marquee.common.v1.ModelRepositoryService/List",)
_CERTIFICATES = "_certificate_file"


@dataclass
class Telemetry:
    """What one service process records.

    Attributes:
        access_log: lines for finished calls.
        metrics: counters and histograms for Prometheus.
        usage: what each tenant used.
        tracing: spans for a collector; None when off.
    """

    access_log: AccessLog = field(default_factory=lambda: AccessLog("all", 1.0))
    metrics: Metrics = field(default_factory=Metrics)
    usage: UsageMeter = field(default_factory=UsageMeter)
    tracing: Tracing | None = None
    _endpoint: MetricsEndpoint | None = field(default=None, init=False)
    _journal: UsageJournal | None = field(default=None, init=False)

    @classmethod
    def from_settings(cls, settings: ServiceSettings, service: str) -> Telemetry:
        """Return what the settings of a service ask for."""
        version = software_version()
        tracing = Tracing.from_settings(
            settings.tracing_endpoint, service, sample_ratio=settings.tracing_sample_ratio, version=version
        )
        access_log = AccessLog(settings.access_log, settings.slow_call_seconds)
        telemetry = cls(access_log, metrics=Metrics(service, version), tracing=tracing)
        telemetry.metrics.watch_usage(lambda: telemetry.usage.overflow)
        files = {name: getattr(settings, name) for name in type(settings).model_fields if name.endswith(_CERTIFICATES)}
        telemetry.metrics.watch(
            "marquee_certificate_expiry_time_seconds",
            lambda: [((name,), expiry(path)) for name, path in files.items() if path is not None],
        )
        if tracing is not None:
            telemetry.metrics.watch_spans(tracing.outcomes)
        return telemetry

    async def start(self, settings: ServiceSettings) -> None:
        """Open the metrics page and the usage file that the settings name.

        Raises:
            CannotStart: the page's port is taken, or the file cannot be used.
        """
        if settings.metrics_port is not None:
            self._endpoint = MetricsEndpoint(settings.host, settings.metrics_port, self.metrics)
            await self._endpoint.start()
        if settings.usage_file is not None:
            self._journal = UsageJournal(settings.usage_file, self.usage)
            await self._journal.start()

    async def stop(self) -> None:
        """Write and send what is left."""
        if self._journal is not None:
            await self._journal.stop()
        if self.tracing is not None:
            await self.tracing.stop()
        if self._endpoint is not None:
            await self._endpoint.stop()

    def recorder(self, method: str) -> MethodRecorder:
        """Return where the calls of a method are recorded."""
        return MethodRecorder(self, method)


class MethodRecorder:
    """Records the calls of one method.

    Args:
        telemetry: what the process records.
        method: full path of the method.
    """

    def __init__(self, telemetry: Telemetry, method: str) -> None:
        self._method = method
        self._finished = telemetry.metrics.method(method).finished
        self._access_log = telemetry.access_log
        self._tracing = telemetry.tracing
        self._quiet = method.startswith(_ROUTINE)

    def begin(self, context: RequestContext, metadata: Any) -> None:
        """Open the call's span."""
        if self._tracing is not None:
            context.span = self._tracing.begin(self._method, metadata or ())

    def finished(
        self, context: RequestContext, code: grpc.StatusCode, seconds: float, reason: str, message: str
    ) -> None:
        """Count a call and note its end."""
        self._finished(code, seconds)
        if not (self._quiet and code is grpc.StatusCode.OK):
            self._access_log.finished(self._method, code, seconds, context.request_id, reason, message)
        if context.span is not None:
            context.span.end(code.name)


def software_version() -> str:
    """Return the version of the installed distribution; empty when it runs from a bare checkout."""
    try:
        return version_of_package("marquee")
    except PackageNotFoundError:
        return ""
