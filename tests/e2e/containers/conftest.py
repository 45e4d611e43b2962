"""Fixtures of the tests that run the images. Without an engine or without the images they are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.chart.tools import ToolMissing, find
from deploy.images.engine import Engine, NoEngine, find_engine
from tests.cluster.telling import tell
from tests.e2e.containers.images import missing_images

__all__ = ["tell"]

_SECONDS = 300
_HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of these tests."""
    config.addinivalue_line("markers", "containers: runs the images with docker or podman, as the chart says")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them: `slow` keeps them out of `make test`, and their first start takes longer than a test may."""
    for item in items:
        if _HERE in item.path.parents:
            for mark in (pytest.mark.containers, pytest.mark.slow, pytest.mark.timeout(_SECONDS)):
                item.add_marker(mark)


@pytest.fixture(scope="module")
def busy() -> str:
    """Why a measured time says nothing here: the machine is busy with other things. Empty when it is not."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    return f"load {load:.0f} on {processors} processors before the test" if load > 2 * processors else ""


@pytest.fixture(scope="session")
def engine() -> Engine:
    """docker or podman, with the images of this version."""
    try:
        found = find_engine()
        find("helm")
    except (NoEngine, ToolMissing) as error:
        pytest.skip(str(error))
    missing = missing_images(found)
    if missing:
        pytest.skip(f"no images of {', '.join(missing)}: `make container-test` builds them")
    return found
