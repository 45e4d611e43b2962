from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.services.client.canned import CannedServer, running_server


@pytest.fixture
def server() -> Iterator[CannedServer]:
    with running_server() as canned:
        yield canned
