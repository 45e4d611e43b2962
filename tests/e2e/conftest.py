"""A whole mesh for the end-to-end tests: four real processes, MovieLens imported and a bundle trained, once a test
run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh
from services.runtime.sources import DataSettings
from tests.support.postgres_fixtures import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

PATIENCE_SECONDS = 60.0


def run_marquee(mesh: LocalMesh, *arguments: str) -> str:
    """Run the `marquee` command against the mesh, as a person would; returns what it printed."""
    environment = {
        **os.environ,
        "MARQUEE_TARGET": mesh.addresses["orchestrator"],
        "MARQUEE_DATA_DIRECTORY": str(mesh.data_directory),
        "COLUMNS": "160",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert finished.returncode == 0, f"marquee {' '.join(arguments)}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh data folder that shares the fetched packages, so that each run fetches them once."""
    folder = tmp_path_factory.mktemp("mesh")
    fetched = DataSettings().data_directory / "sources"
    fetched.mkdir(parents=True, exist_ok=True)
    (folder / "sources").symlink_to(fetched.resolve())
    return folder


@pytest.fixture(scope="session")
def movielens_mesh(data_directory: Path) -> Iterator[LocalMesh]:
    """Four services with MovieLens-100K imported and a bundle serving."""
    with LocalMesh(data_directory=data_directory, port=0) as mesh:
        mesh.wait_ready()
        run_marquee(mesh, "import", "movielens")
        run_marquee(mesh, "train")
        yield mesh


@pytest.fixture(scope="session")
def client(movielens_mesh: LocalMesh) -> Iterator[MarqueeClient]:
    """A client of the mesh."""
    with MarqueeClient(movielens_mesh.addresses["orchestrator"]) as connected:
        yield connected


@pytest.fixture
def whole_mesh(movielens_mesh: LocalMesh, client: MarqueeClient) -> Iterator[LocalMesh]:
    """The mesh for a test that breaks it; afterwards every service runs and answers again."""
    yield movielens_mesh
    for service in ("text", "vision", "classical"):
        if movielens_mesh.services[service].health() != "serving":
            movielens_mesh.restart(service)
    movielens_mesh.wait_ready()
    until(lambda: not client.recommend("196").degraded, "the mesh is whole again")
