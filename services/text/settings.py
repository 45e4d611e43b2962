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
    default_sentiment_model: str = Field(
        default="minilm-sentiment",
        description="Model that answers UnderstandText calls that name no model and ask for sentiment alone.",
    )
    default_generation_model: str = Field(
        default="decoder-language-model",
        description="Model that answers GenerateText calls whose model field is empty.",
    )
    generation_slots: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Texts of one language model in the making at the same time; they share its runs. More serve more "
        "readers at once, each a little slower, and take memory for each text's states.",
    )
    maximum_waiting_generations: int = Field(
        default=64,
        ge=0,
        le=100_000,
        description="GenerateText calls that wait for a slot of one model. One more is refused with "
        "RESOURCE_EXHAUSTED, QUEUE_FULL, and the time after which to retry.",
    )
    generation_context_tokens: int = Field(
        default=4_096,
        ge=128,
        le=1 << 20,
        description="Most tokens of prompt and text together, for models whose states grow with the text: their "
        "memory does too. A model's own limit counts where it is lower.",
    )
    stalled_reader_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="How long a text waits for a reader who reads nothing, and keeps its slot; then it is given up "
        "with ABORTED, READER_TOO_SLOW.",
    )
