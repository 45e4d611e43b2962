"""A vision service whose models are the tests' own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.vision import main as vision_main
from services.vision.settings import VisionSettings
from tests.support.dummy_image_model import NAME
from tests.support.servers import RunningServer, running


@asynccontextmanager
async def colour_vision(folder: Path, **fields: Any) -> AsyncIterator[RunningServer]:
    """Run one over `folder`/models and `folder`/bundles, where the model of colours answers; `fields` replaces any
    setting.
    """
    given: dict[str, Any] = {
        "port": 0,
        "drain_seconds": 0,
        "model_repository": folder / "models",
        "bundle_repository": folder / "bundles",
        "default_model": NAME,
        "tenant_from_metadata": True,
    }
    settings = VisionSettings(**(given | fields))
    async with running(vision_main.build(settings), settings) as server:
        yield server
