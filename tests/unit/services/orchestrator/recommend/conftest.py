"""Three real model services and the tiny bundle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.bundles import write_bundle
from tests.unit.services.orchestrator.recommend.model_services import ModelServices


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ModelServices]:
    """Model services that are not started yet, with bundle v1 in their folder."""
    made = ModelServices(tmp_path)
    write_bundle(made.bundles, "v1")
    yield made
    await made.close()
