from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.runtime.data_plane import DataPlane
from services.runtime.errors import Unavailable
from services.runtime.repository.loader import LoadedModel
from services.runtime.watchdog import Watchdog
from tests.support.clients import health
from tests.support.dummy_model import NAME, write_model
from tests.support.dummy_service import DummyService
from tests.support.repositories import repository


class Graph:
    """Stands before a real graph and does to runs what the test says."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.before: Callable[[], object] = lambda: None
        self.runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def run(self, feeds: Mapping[str, Any]) -> Any:
        self.runs += 1
        self.before()
        return self._real.run(feeds)


def hang(model: LoadedModel) -> tuple[Graph, threading.Event]:
    """Make the model's runs wait until the event is set."""
    released = threading.Event()
    graph = Graph(model.onnx)
    graph.before = lambda: released.wait(20)
    object.__setattr__(model, "onnx", graph)
    return graph, released


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


async def test_a_hung_run_turns_the_verdict_and_its_end_turns_it_back(models: Path) -> None:
    write_model(models)
    verdicts: list[str] = []
    plane = DataPlane(1)
    async with repository(models) as made:
        serving = made.ready(NAME)
        assert serving is not None
        graph, released = hang(serving.model)
        watchdog = Watchdog(
            plane, lambda: serving.model, verdicts.append, every_seconds=0.0, limit_seconds=0.5, tick_seconds=0.01
        )
        watching = asyncio.create_task(watchdog.run())
        await until(lambda: bool(verdicts))
        assert graph.runs == 1, "one canary at a time"
        released.set()
        await until(lambda: len(verdicts) == 2)
        watching.cancel()
    assert "s" in verdicts[0]
    assert verdicts[1] == ""
    await asyncio.to_thread(plane.close)


async def test_one_hung_engine_of_two_is_noticed(models: Path) -> None:
    since: list[float | None] = [None, time.monotonic() - 31]

    class Plane:
        def busy_since(self) -> list[float | None]:
            return since

    verdicts: list[str] = []
    watchdog = Watchdog(Plane(), lambda: None, verdicts.append, every_seconds=10, limit_seconds=30)  # type: ignore[arg-type]
    watchdog.look()
    watchdog.look()
    assert verdicts == ["an engine has been busy with one run for 31 s"], "told once"
    since[1] = time.monotonic() - 2
    watchdog.look()
    assert verdicts[1:] == [""]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA error 700"), ["a known request failed; the service's log says why"]),
        (Unavailable("QUEUE_FULL", "the queue is full"), []),
    ],
)
async def test_a_canary_that_fails_counts_and_one_refused_for_overload_does_not(
    models: Path, error: Exception, expected: list[str]
) -> None:
    write_model(models)
    asked = 0

    class Plane:
        def busy_since(self) -> list[float | None]:
            return [None]

        async def infer(self, *_: Any, **__: Any) -> None:
            nonlocal asked
            asked += 1
            raise error

    verdicts: list[str] = []
    async with repository(models) as made:
        serving = made.ready(NAME)
        assert serving is not None
        model = serving.model
        watchdog = Watchdog(Plane(), lambda: model, verdicts.append, every_seconds=0, limit_seconds=30)  # type: ignore[arg-type]
        for _ in range(6):
            watchdog.look()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert asked >= 2
    assert verdicts == expected


async def test_health_follows_the_engines_and_never_leaves_draining(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.watchdog._TICK_SECONDS", 0.01)
    monkeypatch.setattr("services.runtime.model_service.Watchdog.__init__.__kwdefaults__", {"tick_seconds": 0.01})
    write_model(models)
    dummy = DummyService(models, engines=1, watchdog_seconds=0.01, hung_engine_seconds=1.0)
    async with dummy.running() as server:
        assert await health(server.channel) == "SERVING"
        serving = dummy.service.models.ready(NAME)
        assert serving is not None
        _, released = hang(serving.model)
        await until(lambda: not dummy.service.health.serving)
        assert await health(server.channel, "marquee.text.v1.TextService") == "NOT_SERVING"
        released.set()
        await until(lambda: dummy.service.health.serving)
        assert await health(server.channel) == "SERVING"
        dummy.service.health.drain()
        await asyncio.sleep(0.1)
        assert await health(server.channel) == "NOT_SERVING"
