"""Options of the orchestrator."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ServiceSettings
from services.runtime.sources import DataSettings


class OrchestratorSettings(ServiceSettings):
    """Options of the orchestrator, read from variables that start with MARQUEE_ORCHESTRATOR_."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_ORCHESTRATOR_", extra="ignore")

    port: int = Field(default=50060, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    store_url: str = Field(
        default_factory=lambda: f"sqlite:///{DataSettings().data_directory / 'marquee.sqlite'}",
        description="Where catalogue, events and pointers are kept: sqlite:///<path>.",
    )
    text_address: str = Field(
        default="127.0.0.1:50061",
        description="gRPC target of the text service, for example dns:///text:50061.",
    )
    vision_address: str = Field(default="127.0.0.1:50062", description="gRPC target of the vision service.")
    classical_address: str = Field(default="127.0.0.1:50063", description="gRPC target of the classical service.")
    recommend_deadline_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="Longest time a recommendation may take. The caller's deadline counts where it is sooner; "
        "the steps share what is left.",
    )
    candidate_seconds: float = Field(
        default=0.25,
        gt=0,
        le=30,
        description="Longest wait for one service's candidates before the list goes on without them.",
    )
    ranking_seconds: float = Field(
        default=0.25, gt=0, le=30, description="Longest wait for the ranker before its fallback ranks."
    )
    enrichment_seconds: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="Longest wait for vectors while items are written; they follow later when it passes.",
    )
    bundle_load_seconds: float = Field(
        default=30.0, gt=0, le=600, description="Longest wait for one service to load a bundle."
    )
    bundle_check_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How often to make sure that every model service has the serving bundle loaded.",
    )
    history_limit: int = Field(
        default=100, ge=1, le=1000, description="Newest events of a user that recommendation looks at."
    )
    statistics_refresh_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="How often popularity is read again from the store."
    )
