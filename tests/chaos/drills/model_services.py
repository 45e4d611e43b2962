"""Model services that die, stand still or are slow."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from tests.chaos.drill import Drill, Scene
from tests.chaos.mesh import MODEL_SERVICES

_FAULT_SECONDS: Final = 4.0
STILL_SECONDS: Final = 0.2


async def killed(scene: Scene, service: str) -> None:
    """Kill it, and start it again after a while."""
    await scene.kill(service)
    await scene.pause(_FAULT_SECONDS)
    await scene.start(service)
    await scene.healed()


async def frozen(scene: Scene, service: str) -> None:
    """Stop it where it is, and let it go on after a while."""
    process = scene.mesh.processes[service]
    process.freeze()
    await scene.pause(_FAULT_SECONDS)
    process.thaw()
    await scene.healed()


async def slow(scene: Scene, service: str, running_seconds: float = 0.02) -> None:
    """Let it run a part of the time only; a tenth where nothing else is said."""
    process = scene.mesh.processes[service]
    end = asyncio.get_running_loop().time() + _FAULT_SECONDS
    while asyncio.get_running_loop().time() < end:
        process.freeze()
        await asyncio.sleep(STILL_SECONDS)
        process.thaw()
        await asyncio.sleep(running_seconds)
    await scene.healed()


async def all_killed(scene: Scene) -> None:
    """Kill all three, and start them again after a while."""
    for service in MODEL_SERVICES:
        await scene.kill(service)
    await scene.pause(_FAULT_SECONDS)
    await scene.start(*MODEL_SERVICES)
    await scene.healed()


_FAULTS = (
    ("killed", killed, f"kill -9 of the {{}} service, started again after {_FAULT_SECONDS:.0f} s", True),
    ("hung", frozen, f"SIGSTOP of the {{}} service for {_FAULT_SECONDS:.0f} s", True),
    ("slow", slow, f"the {{}} service runs a tenth of the time for {_FAULT_SECONDS:.0f} s", False),
)

DRILLS = [
    Drill(
        f"{service} {what}",
        partial(fault, service=service),
        sentence.format(service),
        felt_by="lists" if is_felt else "nobody",
        short=(service, what) == ("classical", "hung"),
    )
    for what, fault, sentence, is_felt in _FAULTS
    for service in MODEL_SERVICES
] + [
    Drill(
        "all model services killed",
        all_killed,
        f"kill -9 of all three model services, started again after {_FAULT_SECONDS:.0f} s",
        felt_by="lists",
    )
]
