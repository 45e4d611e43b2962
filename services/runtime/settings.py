"""The settings every service shares. A service's own class inherits from these and adds its prefix and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.cores import available_cores
from services.runtime.repository.policy import VersionPolicies
from services.runtime.sources import DataSettings


class ServiceSettings(BaseSettings):
    """Options of one service process, read from the environment with the service's own prefix."""

    model_config = SettingsConfigDict(extra="ignore")

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default accepts calls from this machine only; use 0.0.0.0 in a "
        "container.",
    )
    port: int = Field(default=0, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    health_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port on the service's host that answers gRPC health checks in plaintext and nothing else, from "
        "before the models load; for probes that know no TLS, as Kubernetes'. 0 takes a free one and logs it, unset "
        "opens none.",
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM file with the service's certificate chain. Set, the port speaks TLS only. Files that are "
        "replaced are used for new connections.",
    )
    tls_key_file: Path | None = Field(
        default=None, description="PEM file with the private key of tls_certificate_file, without a password."
    )
    tls_client_ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities whose certificates callers must show (mutual TLS). Unset asks for "
        "none.",
    )
    maximum_connection_age_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="After how long a connection is replaced, give or take 10 %, so that callers who balance over "
        "names find new replicas; calls in flight are not harmed. 0 keeps connections.",
    )
    maximum_connection_grace_seconds: float = Field(
        default=3600.0,
        ge=0,
        le=86_400,
        description="How long calls in flight may go on over a connection past its age before they end with "
        "UNAVAILABLE. The default outlives every stream without a deadline of its own.",
    )
    default_deadline_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Deadline for calls whose caller set none, so that no call lasts forever.",
    )
    default_stream_deadline_seconds: float = Field(
        default=3600.0,
        gt=0,
        le=86_400,
        description="Deadline for streams whose caller set none, such as exports and Open Inference streams.",
    )
    maximum_calls: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Calls in flight at the same time, whatever they wait for. One more is refused with "
        "RESOURCE_EXHAUSTED, TOO_MANY_CALLS.",
    )
    maximum_message_bytes: int = Field(
        default=32 << 20,
        ge=1 << 10,
        le=1 << 30,
        description="Largest request accepted, in bytes. A larger one is refused with RESOURCE_EXHAUSTED naming "
        "the limit.",
    )
    front: Literal["grpc", "native"] = Field(
        default="grpc",
        description="What does HTTP/2: grpcio's own server, or `native`, which does it in Rust for about half of the "
        'processor time of a small call (`pip install "marquee[native]"`). It knows no TLS.',
    )
    tenant_from_metadata: bool = Field(
        default=False,
        description="Whether callers say whose call it is, in the metadata x-marquee-tenant. Only for services that "
        "outsiders cannot reach.",
    )
    drain_seconds: float = Field(
        default=20.0,
        ge=0,
        le=600,
        description="On SIGTERM, how long calls in flight may finish before they are cancelled.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="Log lines as JSON, or coloured for a terminal; auto looks whether stderr is one.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged. Finished calls are logged at info."
    )
    access_log: Literal["all", "slow", "failures"] = Field(
        default="all",
        description="Which finished calls get a log line: all, those that failed or were slow, or those that failed. "
        "A line costs more than a small model: model services log slow and failed calls by default.",
    )
    slow_call_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="From which duration a call counts as slow in the access log."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of the Prometheus metrics page (/metrics) on the service's host; 0 takes a free one and logs "
        "it, unset serves none.",
    )
    tracing_endpoint: str | None = Field(
        default=None,
        description="Address of an OpenTelemetry collector (OTLP over gRPC), for example http://localhost:4317. Unset "
        "traces nothing.",
    )
    tracing_sample_ratio: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the traces started here that are recorded; a caller's own decision comes first.",
    )
    usage_file: Path | None = Field(
        default=None,
        description="File to which the tenants' usage is appended (JSON lines), so that it survives a restart. Unset "
        "keeps it in memory.",
    )


class ModelServiceSettings(ServiceSettings):
    """Options of a service that runs models."""

    model_repository: Path = Field(
        description="Folder of the model repository: <name>/<version>/model.onnx and model.yaml."
    )
    version_policies: dict[str, str] = Field(
        default_factory=dict,
        description='Which versions of a model serve, as JSON: {"*": "latest:1", "a": "specific:1,3", "b": "all"}. '
        "The key * is the default, which is latest:1 when it is not given.",
    )
    poll_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="How often to look into the model repository for new, changed and removed versions; 0 never looks "
        "again, so that what serves changes only when somebody loads or unloads it.",
    )
    watchdog_seconds: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="How often a known request is sent through the engines; when it does not come back, the health "
        "turns NOT_SERVING. 0 switches the watchdog off.",
    )
    hung_engine_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="A model run that takes longer counts as hung.",
    )
    bundle_repository: Path = Field(
        default_factory=lambda: DataSettings().data_directory / "bundles",
        description="Folder of recommendation bundles: <tenant>/<version>/manifest.json.",
    )
    engines: int = Field(
        default_factory=available_cores,
        ge=1,
        le=256,
        description="Model runs at the same time in this process, one thread each. One a core is best, which is the "
        "default and goes by a container's limit; more only adds switching.",
    )
    tenant_from_metadata: bool = Field(
        default=True,
        description="Whether callers say whose call it is, in the metadata x-marquee-tenant, for usage and the "
        "response cache. Set it to false where outsiders reach the service directly.",
    )
    maximum_queued_requests: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Requests that wait for an engine or run. One more is refused with RESOURCE_EXHAUSTED, QUEUE_FULL.",
    )
    maximum_queue_milliseconds: float = Field(
        default=1_000,
        gt=0,
        le=600_000,
        description="Longest estimated wait for an engine. A request that would wait longer is refused at once with "
        "RESOURCE_EXHAUSTED, QUEUE_FULL, and the time after which to retry.",
    )
    response_cache_bytes: int = Field(
        default=0,
        ge=0,
        le=1 << 40,
        description="Size of the response cache: answers kept by tenant, model, version, options and input. 0 keeps "
        "none, so that a measurement measures the model.",
    )
    access_log: Literal["all", "slow", "failures"] = Field(
        default="slow",
        description="Which finished calls get a log line: all, those that failed or were slow, or those that failed.",
    )
    execution_provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        default="auto",
        description="Where models run. auto takes CUDA where it works, else the CPU. With cuda or tensorrt, a process "
        "that cannot use the GPU refuses to serve instead of being slow. TensorRT compiles each model once a machine.",
    )
    half_precision: bool = Field(
        default=False,
        description="Whether TensorRT may compute in 16 bits. A model whose answers then differ too much from its "
        "stored ones is refused.",
    )

    @field_validator("version_policies")
    @classmethod
    def _policies_can_be_read(cls, policies: dict[str, str]) -> dict[str, str]:
        VersionPolicies.parse(policies)
        return policies
