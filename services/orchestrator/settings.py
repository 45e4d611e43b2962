"""Options of the orchestrator."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ServiceSettings
from services.runtime.sources import DataSettings


class OrchestratorSettings(ServiceSettings):
    """Options of the orchestrator, read from variables that start with MARQUEE_ORCHESTRATOR_."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_ORCHESTRATOR_", extra="ignore")

    port: int = Field(default=50060, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    store_url: str = Field(
        default_factory=lambda: f"sqlite:///{DataSettings().data_directory / 'marquee.sqlite'}",
        repr=False,  # it may hold a password
        description="Where all state is kept: sqlite:///<path>, or postgresql://<user>:<password>@<host>/<database> "
        "for more than one replica; libpq's options follow a question mark, for example ?sslmode=verify-full.",
    )
    store_connections: int = Field(
        default=10,
        ge=6,
        le=100,
        description="Connections to PostgreSQL at most, but for one more at times: a third of them writes, one "
        "listens, the others read.",
    )
    store_wait_seconds: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="Longest wait for a lock, and on PostgreSQL for a connection or a server that restarts, before a "
        "call answers UNAVAILABLE.",
    )
    store_statement_seconds: float = Field(
        default=10.0, gt=0, le=600, description="Longest time of one statement on PostgreSQL."
    )
    text_address: str = Field(
        default="127.0.0.1:50061",
        description="gRPC target of the text service, for example dns:///text:50061.",
    )
    vision_address: str = Field(default="127.0.0.1:50062", description="gRPC target of the vision service.")
    classical_address: str = Field(default="127.0.0.1:50063", description="gRPC target of the classical service.")
    mesh_tls_ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities that may have signed the model services' certificates. Set, the "
        "orchestrator speaks TLS with them; files that are replaced are used for new connections.",
    )
    mesh_tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate chain that the orchestrator shows to model services (mutual TLS).",
    )
    mesh_tls_key_file: Path | None = Field(
        default=None, description="PEM file with the private key of mesh_tls_certificate_file, without a password."
    )
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
    content_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Longest that a model service may take to analyse or moderate texts."
    )
    media_seconds: float = Field(
        default=10.0, gt=0, le=60, description="Longest that the analysis of a picture may take, all models together."
    )
    clip_idle_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="How long the caller of a clip may wait with its first message."
    )
    clip_stalled_reader_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="How long the caller of a clip may read nothing while answers wait; then ABORTED, READER_TOO_SLOW.",
    )
    generation_seconds: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Longest that a language model may write on for a caller who names no deadline.",
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
        default=5.0,
        gt=0,
        le=3600,
        description="How often popularity is read again from the store; less often where reading takes long.",
    )
    trend_half_life_days: float = Field(
        default=7.0, gt=0, le=365, description="After how long an event counts half for what trends."
    )
    history_seconds: float = Field(
        default=0.25,
        gt=0,
        le=30,
        description="Longest wait for the store when a recommendation reads the user's history; then what was last "
        "known stands in.",
    )
    catalog_seconds: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="Longest wait for a newer state of the catalogue before the last one serves.",
    )
    slate_seconds: float = Field(
        default=0.25,
        gt=0,
        le=30,
        description="Longest wait until a list is kept; then it is answered without further pages and attribution.",
    )
    page_seconds: float = Field(default=3600.0, ge=1, le=86_400, description="How long a list has further pages.")
    slate_days: float = Field(
        default=7.0, gt=0, le=365, description="How long a list is kept, and events that follow from it are attributed."
    )
    token_keys: SecretStr | None = Field(
        default=None,
        description="Secrets that sign page and attribution tokens: one or more of at least 32 characters, separated "
        "by commas. The first one signs, all are accepted: to replace a key, put the new one in front and take the old "
        "one out after slate_days. All replicas need the same. Unset, a key is made and kept beside the SQLite file.",
    )
    clock_skew_seconds: float = Field(
        default=60.0, ge=0, le=86_400, description="How far ahead of ours the clock of an event's sender may be."
    )
    deduplication_days: float = Field(
        default=30.0,
        ge=0.01,
        le=3650,
        description="Window of exactly once: how long an event that is sent again is recognised.",
    )
    event_retention_days: float = Field(
        default=0.0, ge=0, le=36_500, description="How long events are kept after their receipt; 0 keeps them for ever."
    )
    maintenance_seconds: float = Field(
        default=60.0, ge=1, le=86_400, description="Time between two looks for what has outlived its time."
    )
