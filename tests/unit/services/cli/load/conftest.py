"""Runs of a crew against servers with a known behaviour."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from marquee.text.v1 import text_service_pb2 as pb
from services.cli.load.crew import Crew, Load, Result
from services.cli.load.plan import Plan, Step
from tests.support.load_server import EMBED

Measure = Callable[[str, Load, int], Result]


def embed(address: str, deadline_seconds: float = 10.0) -> Step:
    """A step that asks for one vector."""
    body = pb.EmbedTextRequest(texts=["a film about the sea"]).SerializeToString()
    return Step("embed", f"/{EMBED}", address, (body,), deadline_seconds=deadline_seconds)


@pytest.fixture
def measure() -> Measure:
    """Run a load against an address, with some processes."""

    def run(address: str, load: Load, processes: int) -> Result:
        with Crew(Plan((embed(address),)), processes) as crew:
            return crew.run(load)

    return run
