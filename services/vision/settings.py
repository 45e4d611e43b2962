"""Options of the vision service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ModelServiceSettings
from services.vision.video.checkpoint import read_keys


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
    default_faces_model: str = Field(default="centerface", description="Model that finds faces.")
    default_expressions_model: str = Field(
        default="mini-xception-expression", description="Model that says what faces show."
    )
    default_screening_model: str = Field(
        default="open-nsfw", description="Model that screens pictures when the model field is empty."
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
    default_events_model: str = Field(
        default="recurrent-gameplay-events", description="Model that finds events in videos when none is named."
    )
    default_game_model: str = Field(default="vit-atari-games", description="Model that names the game of a video.")
    maximum_video_streams: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="AnalyzeVideo streams at the same time; a stream takes up to 12 MB here. One more is refused at "
        "once with RESOURCE_EXHAUSTED, TOO_MANY_STREAMS, and the time after which to retry.",
    )
    maximum_video_decoders: int = Field(
        default=16,
        ge=0,
        le=1_000,
        description="Decoder processes at the same time, one for each stream of encoded video: about 60 MB each for "
        "small pictures, more for large ones. One more is refused in the same way.",
    )
    video_decoder_bytes: int = Field(
        default=1 << 30,
        ge=256 << 20,
        le=1 << 40,
        description="Address space of one decoder process; a video that needs more ends its stream.",
    )
    video_decoder_processor_seconds: int = Field(
        default=7_200, ge=1, le=1_000_000, description="Processor time of one decoder process."
    )
    video_decoder_threads: int = Field(default=1, ge=1, le=16, description="Threads of one decoder process.")
    video_decoder_hung_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Silence after which a decoder that has work to do counts as hung: it is ended, and what came "
        "before is answered.",
    )
    video_idle_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="How long the caller of a stream may send nothing while more is awaited; then ABORTED, "
        "STREAM_IDLE.",
    )
    video_stalled_reader_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="How long the caller of a stream may read nothing while answers wait; then ABORTED, "
        "READER_TOO_SLOW.",
    )
    maximum_video_seconds: float = Field(
        default=14_400.0, gt=0, le=1e6, description="Longest video; what follows is left out, and a problem says so."
    )
    maximum_video_pixels: int = Field(
        default=4_096 * 2_304,
        ge=1,
        le=1 << 30,
        description="Largest frame of a video, width times height; checked before anything is decoded. 4K passes.",
    )
    video_sample_side: int = Field(
        default=640,
        ge=32,
        le=2_048,
        description="Longest side of the frames that picture models look at, in pixels; larger ones are scaled down.",
    )
    video_spool_directory: Path | None = Field(
        default=None,
        description="Folder for videos that are analysed after their upload; unset takes the system's folder for "
        "temporary files. The files have no names and are gone when their stream ends.",
    )
    maximum_spooled_video_bytes: int = Field(
        default=1 << 30,
        ge=1,
        le=1 << 50,
        description="Largest video that is kept on disk until its upload is complete.",
    )
    video_spool_bytes: int = Field(
        default=4 << 30,
        ge=1,
        le=1 << 50,
        description="Disk for such videos of all streams together. More is refused with RESOURCE_EXHAUSTED, "
        "VIDEO_SPOOL_FULL.",
    )
    video_checkpoint_keys: str = Field(
        default="",
        repr=False,
        description="Keys that seal the checkpoints of video streams: base64 of 32 bytes each, separated by commas. "
        "The first seals, all open: to rotate, put a new one in front and remove the last a day later. Empty makes a "
        "key that lives as long as the process, so that no other replica can go on with its streams.",
    )

    @field_validator("video_checkpoint_keys")
    @classmethod
    def _keys_can_be_read(cls, keys: str) -> str:
        read_keys(keys)
        return keys
