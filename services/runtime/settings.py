"""The settings every service shares. A service's own class inherits from these and adds its prefix and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    default_deadline_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Deadline for calls whose caller set none, so that no call lasts forever.",
    )
    maximum_message_bytes: int = Field(
        default=32 << 20,
        ge=1 << 10,
        le=1 << 30,
        description="Largest request accepted, in bytes. A larger one is refused with RESOURCE_EXHAUSTED naming "
        "the limit.",
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


class ModelServiceSettings(ServiceSettings):
    """Options of a service that runs models."""

    model_repository: Path = Field(
        description="Folder of the model repository: <name>/<version>/model.onnx and model.yaml."
    )
    bundle_repository: Path = Field(
        default_factory=lambda: DataSettings().data_directory / "bundles",
        description="Folder of recommendation bundles: <tenant>/<version>/manifest.json.",
    )
    engines: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        ge=1,
        le=256,
        description="Model runs at the same time in this process, one thread each. One a core is best; more only "
        "adds switching.",
    )
    execution_provider: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where models run. auto takes CUDA where it is installed, else the CPU. With cuda, a process "
        "that cannot use the GPU "
        "refuses to serve instead of being slow.",
    )
