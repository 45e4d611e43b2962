"""A real orchestrator in a thread of the test, with an empty store and without model services."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.ports import free_ports
from services.orchestrator.main import build
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.server import ServiceServer

Run = Callable[..., Any]


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    nobody = [f"127.0.0.1:{port}" for port in free_ports("127.0.0.1", 3)]
    settings = OrchestratorSettings(
        port=0,
        store_url=f"sqlite:///{tmp_path / 'marquee.sqlite'}",
        text_address=nobody[0],
        vision_address=nobody[1],
        classical_address=nobody[2],
        drain_seconds=0,
    )
    started, stopping = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        server = ServiceServer(await build(settings), settings)
        await server.start()
        ports.append(server.port)
        started.set()
        await asyncio.to_thread(stopping.wait)
        await server.stop()

    # What the server logs must not mix with what the command prints.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(20)
    address = f"127.0.0.1:{ports[0]}"
    monkeypatch.setenv("MARQUEE_TARGET", address)
    for name, nobody_there in zip(("TEXT", "VISION", "CLASSICAL"), nobody, strict=True):
        monkeypatch.setenv(f"MARQUEE_{name}_TARGET", nobody_there)
    yield address
    stopping.set()
    thread.join()
    structlog.reset_defaults()


@pytest.fixture
def run() -> Run:
    """Run `marquee` with these words; standard output and error are in `.output`."""

    def invoke(*words: str, stdin: bytes | str | None = None) -> Any:
        result = CliRunner().invoke(app, list(words), input=stdin)
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke
