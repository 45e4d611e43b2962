"""One measured run: a fresh mesh, the catalogue and a split's events written through the API, a bundle trained, users
asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import Event
from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh
from services.cli.movielens import MovieLens
from tests.quality.recommendation.leave_one_out import Figures, measure, split

Value = TypeVar("Value")

_ITEMS_PER_CALL = 500
_EVENTS_PER_CALL = 1_000


@dataclass(frozen=True)
class SeedFigures:
    """Figures of one tie seed: as the ranker orders, with the API's default diversity, and with others."""

    seed: int
    ranked: Figures
    default: Figures
    diverse: Mapping[float, Figures]


def run_seed(data: MovieLens, seed: int, say: Callable[[str], None], diversities: Sequence[float] = ()) -> SeedFigures:
    """Measure one tie seed on a mesh of its own."""
    parts = split(data.events, seed)
    with TemporaryDirectory(prefix="marquee-quality-") as folder, LocalMesh(Path(folder), port=0) as mesh:
        mesh.wait_ready()
        with MarqueeClient(mesh.addresses["orchestrator"]) as client:
            say("writing the catalogue and the events")
            fill(client, data.items, parts.stored)
            say("training a bundle")
            train(mesh)
            say(f"asking for {len(parts.held_out)} users")

            def ask(diversity: float | None) -> Figures:
                return measure(client, data.items, parts.held_out, diversity)

            return SeedFigures(seed, ask(0.0), ask(None), {value: ask(value) for value in diversities})


def fill(client: MarqueeClient, items: Sequence[Item], events: Sequence[Event]) -> None:
    """Write a catalogue and events."""
    for some_items in _batches(items, _ITEMS_PER_CALL):
        client.upsert_items(some_items, timeout=120)
    for some_events in _batches(events, _EVENTS_PER_CALL):
        client.write_events(some_events)


def train(mesh: LocalMesh) -> None:
    """Train and activate a bundle with the `marquee` command."""
    environment = {
        **os.environ,
        "MARQUEE_TARGET": mesh.addresses["orchestrator"],
        "MARQUEE_DATA_DIRECTORY": str(mesh.data_directory),
    }
    command = [sys.executable, "-m", "services.cli.main", "train"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def _batches(values: Sequence[Value], size: int) -> list[Sequence[Value]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
