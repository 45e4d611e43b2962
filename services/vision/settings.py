"""Options of the vision service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ModelServiceSettings


class VisionSettings(ModelServiceSettings):
    """Options of the vision service, read from variables that start with MARQUEE_VISION_."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_VISION_", extra="ignore", protected_namespaces=())

    port: int = Field(default=50062, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    maximum_message_bytes: int = Field(
        default=64 << 20,
        ge=1 << 10,
        le=1 << 30,
        description="Largest request accepted, in bytes. A larger one is refused with RESOURCE_EXHAUSTED naming "
        "the limit.",
    )
    model_repository: Path = Field(
        default=Path(__file__).parent / "models",
        description="Folder of the model repository: <name>/<version>/model.onnx and model.yaml.",
    )
    default_model: str = Field(
        default="efficientnet-lite0",
        description="Model that answers calls for labels or vectors of pictures whose model field is empty.",
    )
    default_objects_model: str = Field(
        default="doom-detector", description="Model that finds objects when the model field is empty."
    )
    maximum_image_bytes: int = Field(default=8 << 20, ge=1, description="Largest encoded picture, in bytes.")
    maximum_image_pixels: int = Field(
        default=40_000_000,
        ge=1,
        description="Largest picture, in pixels; checked in its header, before anything is decoded.",
    )
    faces_tenants: str = Field(
        default="",
        pattern=r"^\s*((\*|[a-z0-9-]{1,64})\s*(,\s*|$))*$",
        description="Tenants that may have faces looked for in pictures and videos, separated by commas; * allows all. "
        "Empty refuses everybody: see docs/facial-expression.md before you change it.",
    )
