"""The long run: many events, three writers, kills at random moments."""

from __future__ import annotations

import asyncio
import random

from tests.chaos.database import no_postgresql
from tests.chaos.drill import Drill, Scene
from tests.chaos.load import LoadOptions
from tests.chaos.needs import Needs
from tests.chaos.processes import NotReady, ServiceProcess

_LONGEST_SECONDS = 300.0
_WRITERS, _BATCH = 3, 100
_BATCHES_PER_SECOND = 6.0
_STARTS, _PAUSE_SECONDS = 10, 0.5


async def kills_at_random(scene: Scene) -> None:
    """Kill a random orchestrator, and PostgreSQL too, at random moments until all events are written."""
    kills = 0
    deadline = asyncio.get_running_loop().time() + _LONGEST_SECONDS
    while not scene.load.written and asyncio.get_running_loop().time() < deadline:
        victim = random.choice(scene.mesh.orchestrators)
        await scene.pause(random.uniform(0.5, 3.0))
        await scene.kill(victim.name)
        await scene.start(victim.name)
        kills += 1
        if scene.mesh.database is not None and kills % 4 == 0:
            await asyncio.to_thread(scene.mesh.database.kill)
            await asyncio.to_thread(scene.mesh.database.start_again)
        await _supervise(scene, victim)
    await scene.healed()
    await scene.until(lambda: scene.load.written, 60)
    scene.outcome.notes.append(f"{kills} kills of an orchestrator")
    if not scene.load.written:
        scene.outcome.problems.append("the events were not all written in time")


async def _supervise(scene: Scene, process: ServiceProcess) -> None:
    """Wait until a process serves; start it again when it gave up because its store was away, as a supervisor does."""
    for _ in range(_STARTS):
        try:
            await asyncio.to_thread(process.wait_ready)
            return
        except NotReady:
            if process.pid:
                raise
            await scene.pause(_PAUSE_SECONDS)
            await scene.start(process.name)


def drills(events: int) -> list[Drill]:
    """Return the run on each store.

    Args:
        events: events that all writers send together.
    """
    load = LoadOptions(
        writers=_WRITERS, batch=_BATCH, batches_per_second=_BATCHES_PER_SECOND, events=events, callers=5.0
    )
    sentence = f"{events:,} events by {_WRITERS} writers; kill -9 of {{}} at random moments"
    return [
        Drill(
            "ledger run",
            kills_at_random,
            sentence.format("the only orchestrator"),
            needs=Needs(settings=(("DRAIN_SECONDS", "8"),)),
            load=load,
            takes_orchestrator=True,
            felt_by="writers",
        ),
        Drill(
            "ledger run",
            kills_at_random,
            sentence.format("one of two orchestrators, every fourth time of PostgreSQL too,"),
            needs=Needs(store="PostgreSQL", replicas=2),
            load=load,
            missing=no_postgresql,
        ),
    ]
