"""Everything restarted, one process after the other, as an update does it."""

from __future__ import annotations

import asyncio

from tests.chaos.drill import Drill, Scene
from tests.chaos.needs import Needs


async def rolling(scene: Scene) -> None:
    """Let each process drain and end, start it again, and go on to the next when it is ready."""
    for name, process in scene.mesh.processes.items():
        await asyncio.to_thread(process.terminate)
        await scene.start(name)
        await asyncio.to_thread(process.wait_ready)
        await scene.healed()


DRILLS = [
    Drill(
        "rolling restart, one orchestrator",
        rolling,
        "SIGTERM of every process in turn, each started again before the next",
        takes_orchestrator=True,
        felt_by="lists",
    )
]

REPLICATED_DRILLS = [
    Drill(
        "rolling restart, two orchestrators",
        rolling,
        "SIGTERM of every process in turn, each started again before the next",
        needs=Needs(store="PostgreSQL", replicas=2),
        felt_by="lists",
    )
]
