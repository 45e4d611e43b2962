"""Options of the text service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ModelServiceSettings


class TextSettings(ModelServiceSettings):
    """Options of the text service, read from variables that start with MARQUEE_TEXT_."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_TEXT_", extra="ignore", protected_namespaces=())

    port: int = Field(default=50061, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    model_repository: Path = Field(
        default=Path(__file__).parent / "models",
        description="Folder of the model repository: <name>/<version>/model.onnx and model.yaml.",
    )
    default_model: str = Field(
        default="minilm-sentence-vectors", description="Model that answers calls whose model field is empty."
    )
    default_understanding_model: str = Field(
        default="minilm-understanding",
        description="Model that answers UnderstandText calls whose model field is empty.",
    )
