"""One drill: a fault, what it needs, and what may come of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.load import Load, LoadOptions
from tests.chaos.mesh import ChaosMesh
from tests.chaos.needs import Needs
from tests.chaos.outcome import Outcome

_POLL_SECONDS = 0.05
_ACKNOWLEDGED_SECONDS = 60.0


@dataclass
class Scene:
    """What a fault works on, while the load runs."""

    mesh: ChaosMesh
    load: Load
    outcome: Outcome

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds; returns False when it does not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def start(self, *names: str) -> None:
        """Start processes; they are not ready yet."""
        for name in names:
            await asyncio.to_thread(self.mesh.start_process, name)

    async def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        await asyncio.to_thread(self.mesh.processes[name].kill)

    async def healed(self) -> None:
        """The fault is over: wait until lists are whole and every writer is acknowledged; note how long that took."""
        moment = time.monotonic()
        await self.mesh.wait_whole()
        if not await self.until(lambda: self.load.acknowledged_since(moment), _ACKNOWLEDGED_SECONDS):
            self.outcome.problems.append(f"no events acknowledged {_ACKNOWLEDGED_SECONDS:.0f} s after the fault")
        self.outcome.recovery_seconds = max(self.outcome.recovery_seconds or 0.0, time.monotonic() - moment)


Fault = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Drill:
    """A fault and what is expected of it.

    Attributes:
        name: short name, for example "text killed".
        fault: injects the fault, heals it and waits with `Scene.healed`.
        sentence: what the fault is, for the report.
        needs: what it needs to be set up.
        load: the load that it runs under.
        takes_orchestrator: the only orchestrator goes away, so calls may fail; how many is reported.
        felt_by: what must show that the fault took place: degraded lists, failed writing calls, or nothing.
        short: part of the short form.
        missing: tells why this machine cannot run the drill; empty when it can.
    """

    name: str
    fault: Fault
    sentence: str
    needs: Needs = field(default_factory=Needs)
    load: LoadOptions = field(default_factory=LoadOptions)
    takes_orchestrator: bool = False
    felt_by: Literal["lists", "writers", "nobody"] = "nobody"
    short: bool = False
    missing: Callable[[], str] = lambda: ""
