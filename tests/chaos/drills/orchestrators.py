"""Orchestrators that die or stand still while events arrive."""

from __future__ import annotations

import random
from functools import partial

from tests.chaos.drill import Drill, Scene
from tests.chaos.drills.model_services import STILL_SECONDS, slow
from tests.chaos.needs import Needs

_KILLS = 3
_REPLICATED = Needs(store="PostgreSQL", replicas=2)


async def killed_mid_ingest(scene: Scene) -> None:
    """Kill the only orchestrator at random moments, and start it again at once."""
    for _ in range(_KILLS):
        await scene.kill("orchestrator-1")
        await scene.start("orchestrator-1")
        await scene.healed()
        await scene.pause(random.uniform(0.2, 1.0))


async def killed_in_turn(scene: Scene) -> None:
    """Kill one of two orchestrators, start it again, then the other."""
    for name in ("orchestrator-1", "orchestrator-2"):
        await scene.kill(name)
        await scene.pause(2.0)
        await scene.start(name)
        await scene.healed()


async def frozen(scene: Scene) -> None:
    """Stop an orchestrator for three seconds."""
    process = scene.mesh.processes["orchestrator-1"]
    process.freeze()
    await scene.pause(3.0)
    process.thaw()
    await scene.healed()


DRILLS = [
    Drill(
        "orchestrator killed mid-ingest",
        killed_mid_ingest,
        f"kill -9 of the only orchestrator, {_KILLS} times at random moments, started again at once",
        takes_orchestrator=True,
        felt_by="writers",
        short=True,
    ),
    Drill(
        "orchestrator hung",
        frozen,
        "SIGSTOP of the only orchestrator for 3 s",
        takes_orchestrator=True,
    ),
    Drill(
        "orchestrator slow",
        partial(slow, service="orchestrator-1", running_seconds=STILL_SECONDS),
        "the only orchestrator runs half of the time for 4 s",
    ),
]

REPLICATED_DRILLS = [
    Drill(
        "one of two orchestrators hung",
        frozen,
        "SIGSTOP of one of two orchestrators for 3 s",
        needs=_REPLICATED,
    ),
    Drill(
        "one of two orchestrators killed",
        killed_in_turn,
        "kill -9 of one of two orchestrators mid-ingest, started again after 2 s; then of the other",
        needs=_REPLICATED,
    ),
]
