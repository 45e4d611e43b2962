"""Runs drills one after the other, each on a mesh that fits its needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from marquee_client import AsyncMarqueeClient, MarqueeError
from tests.chaos.drill import Drill, Scene
from tests.chaos.ledger import Findings, Key, Numbering, compare
from tests.chaos.load import Load
from tests.chaos.mesh import ChaosMesh
from tests.chaos.outcome import Outcome
from tests.chaos.prepared import Prepared

_LEAD_IN_SECONDS = 1.5
_LEAD_OUT_SECONDS = 0.5
_READ_ATTEMPTS = 5
_LONGEST_DRILL_SECONDS = 420.0


class Runner:
    """Keeps a mesh from drill to drill while it fits and nothing was wrong.

    Args:
        folder: for everything the meshes write.
        prepared: what every mesh starts from.
        say: told what happens.
    """

    def __init__(self, folder: Path, prepared: Prepared, say: Callable[[str], None]) -> None:
        self._folder, self._prepared, self._say = folder, prepared, say
        self._numbering = Numbering([item.item_id for item in prepared.items])
        self._mesh: ChaosMesh | None = None
        self._count = 0

    async def run(self, drills: Iterable[Drill]) -> AsyncIterator[Outcome]:
        """Run the drills and yield what each showed."""
        try:
            for drill in drills:
                yield await self._run(drill)
        finally:
            await self._drop_mesh()

    async def _run(self, drill: Drill) -> Outcome:
        self._count += 1
        outcome = Outcome(
            drill.name, drill.needs.store, drill.sentence, failures_are_part_of_it=drill.takes_orchestrator
        )
        outcome.skipped = drill.missing()
        if outcome.skipped:
            return outcome
        start = time.monotonic()
        try:
            async with asyncio.timeout(_LONGEST_DRILL_SECONDS):
                mesh = await self._mesh_for(drill)
                start = time.monotonic()
                await self._under_load(drill, mesh, outcome)
                outcome.take_findings(await self._read_back(mesh))
        except Exception as error:  # one drill that breaks must not hide what the others show
            outcome.problems.append(f"{type(error).__name__}: {error}")
        outcome.seconds = time.monotonic() - start
        if outcome.problems:
            await self._drop_mesh(keep_logs=True)
        return outcome

    async def _under_load(self, drill: Drill, mesh: ChaosMesh, outcome: Outcome) -> None:
        name = f"{self._count}"
        async with Load(mesh.target, mesh.ledger, self._numbering, self._prepared.users, name, drill.load) as load:
            await asyncio.sleep(_LEAD_IN_SECONDS)
            try:
                await drill.fault(Scene(mesh, load, outcome))
                await asyncio.sleep(_LEAD_OUT_SECONDS)
                await load.finish()
            finally:
                outcome.take_tally(load.tally, drill.load)
        if drill.felt_by == "lists" and not outcome.degraded:
            outcome.problems.append("no list was degraded: the fault did not take place")
        if drill.felt_by == "writers" and not outcome.write_failures:
            outcome.problems.append("no writing call failed: the fault did not take place")

    async def _read_back(self, mesh: ChaosMesh) -> Findings:
        async with AsyncMarqueeClient(mesh.target) as client:
            for attempt in range(1, _READ_ATTEMPTS + 1):
                try:
                    keys = [
                        Key(event.user_id, event.item_id)
                        async for event in client.export_events()
                        if self._numbering.is_of_a_drill(event.user_id)
                    ]
                    break
                except MarqueeError:
                    if attempt == _READ_ATTEMPTS:
                        raise
                    await asyncio.sleep(1.0)
        return await asyncio.to_thread(compare, mesh.ledger, self._numbering, keys)

    async def _mesh_for(self, drill: Drill) -> ChaosMesh:
        if self._mesh is not None and self._mesh.needs == drill.needs:
            await self._mesh.wait_whole()
            return self._mesh
        await self._drop_mesh()
        self._say(f"starting services: {drill.needs.store}, {drill.needs.replicas} orchestrator(s)")
        self._mesh = ChaosMesh(self._folder / f"mesh-{self._count}", drill.needs, self._prepared)
        await self._mesh.start()
        return self._mesh

    async def _drop_mesh(self, *, keep_logs: bool = False) -> None:
        mesh, self._mesh = self._mesh, None
        if mesh is None:
            return
        if keep_logs:
            self._say(f"logs: {mesh.folder}")
        try:
            await mesh.stop()
        except Exception as error:  # the drills that follow have a mesh of their own
            self._say(f"could not end everything of {mesh.folder}: {type(error).__name__}: {error}")
