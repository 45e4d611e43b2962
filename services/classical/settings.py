"""Options of the classical service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ModelServiceSettings


class ClassicalSettings(ModelServiceSettings):
    """Options of the classical service, read from variables that start with MARQUEE_CLASSICAL_."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_CLASSICAL_", extra="ignore", protected_namespaces=())

    port: int = Field(default=50063, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    model_repository: Path = Field(
        default=Path(__file__).parent / "models",
        description="Folder of the model repository: <name>/<version>/model.onnx and model.yaml. May be empty: "
        "recommenders come in bundles.",
    )
    return_model: str = Field(default="return-gradient", description="Model that predicts return and churn.")
    engagement_model: str = Field(default="engagement-gradient", description="Model that predicts sessions.")
    value_model: str = Field(default="value-gradient", description="Model that predicts value.")
    next_session_model: str = Field(
        default="next-session-forest", description="Model that predicts the time until the next session."
    )
    segment_model: str = Field(default="segments", description="Model that groups users.")
    toxicity_model: str = Field(default="toxicity-svm", description="Model that answers ScoreToxicity.")
