"""PostgreSQL restarts, dies, stands still, is out of reach, out of connections or out of space."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import asyncpg

from tests.chaos.database import Database, no_postgresql
from tests.chaos.drill import Drill, Scene
from tests.chaos.drills.network import silent_peer
from tests.chaos.drills.orchestrators import REPLICATED_DRILLS as REPLICATED_ORCHESTRATORS
from tests.chaos.drills.restarts import REPLICATED_DRILLS as REPLICATED_RESTARTS
from tests.chaos.drills.sqlite_store import fill_disk, no_small_disks
from tests.chaos.load import LoadOptions
from tests.chaos.mesh import STORE
from tests.chaos.needs import Needs

_DOWN_SECONDS = 3.0
_FROZEN_SECONDS = 4.0
_LOCKED_SECONDS = 5.0
_FEW_CONNECTIONS = 6
_DISK_MEGABYTES = 224
_REPLICATED = Needs(store="PostgreSQL", replicas=2)
_SINGLE = Needs(store="PostgreSQL")


async def restarted(scene: Scene, mode: str, seconds: float) -> None:
    """Stop the server and start it again."""
    database = _database(scene)
    await asyncio.to_thread(database.server.stop, mode)
    await scene.pause(seconds)
    await asyncio.to_thread(database.server.start)
    await scene.healed()


async def killed(scene: Scene) -> None:
    """Kill all its processes and start it again, which recovers."""
    database = _database(scene)
    await asyncio.to_thread(database.kill)
    await scene.pause(1.0)
    await asyncio.to_thread(database.server.start)
    await scene.healed()


async def frozen(scene: Scene) -> None:
    """Stop all its processes where they are."""
    database = _database(scene)
    database.freeze()
    await scene.pause(_FROZEN_SECONDS)
    database.thaw()
    await scene.healed()


async def connections_held(scene: Scene) -> None:
    """Hold locks that every connection of the pool comes to wait for."""
    session = await asyncpg.connect(_database(scene).url)
    try:
        async with session.transaction():
            await session.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            await scene.pause(_LOCKED_SECONDS)
    finally:
        await session.close()
    await scene.healed()


async def space_gone(scene: Scene) -> None:
    """Take all space until writes fail, and give it back; the server itself may have given up and is started again."""
    await fill_disk(scene)
    assert scene.mesh.disk is not None
    scene.mesh.disk.free()
    await asyncio.to_thread(_database(scene).start_again)
    await scene.healed()


def _database(scene: Scene) -> Database:
    assert scene.mesh.database is not None
    return scene.mesh.database


_DRILLS = [
    Drill(
        "PostgreSQL restarted",
        partial(restarted, mode="fast", seconds=0.0),
        "PostgreSQL is restarted, breaking all connections (pg_ctl restart --mode=fast)",
        needs=_REPLICATED,
    ),
    Drill(
        "PostgreSQL down",
        partial(restarted, mode="immediate", seconds=_DOWN_SECONDS),
        f"PostgreSQL ends like a crash (--mode=immediate) and is back after {_DOWN_SECONDS:.0f} s",
        needs=_REPLICATED,
        felt_by="lists",
    ),
    Drill(
        "PostgreSQL killed",
        killed,
        "kill -9 of all PostgreSQL processes mid-ingest, started again after 1 s",
        needs=_REPLICATED,
        felt_by="lists",
    ),
    Drill(
        "PostgreSQL hung",
        frozen,
        f"SIGSTOP of all PostgreSQL processes for {_FROZEN_SECONDS:.0f} s",
        needs=_REPLICATED,
        felt_by="lists",
    ),
    *REPLICATED_ORCHESTRATORS,
    *REPLICATED_RESTARTS,
    Drill(
        "PostgreSQL behind a silent connection",
        partial(silent_peer, peer=STORE),
        "no byte passes between orchestrator and PostgreSQL; connections stay open",
        needs=replace(_SINGLE, proxied=True),
        felt_by="lists",
    ),
    Drill(
        "PostgreSQL connections exhausted",
        connections_held,
        f"a session locks the events for {_LOCKED_SECONDS:.0f} s; the orchestrator has {_FEW_CONNECTIONS} connections",
        needs=replace(_SINGLE, settings=(("STORE_CONNECTIONS", str(_FEW_CONNECTIONS)),)),
        felt_by="lists",
    ),
    Drill(
        "PostgreSQL disk full",
        space_gone,
        "PostgreSQL's disk has no byte left, beyond the first refused write",
        needs=replace(_SINGLE, disk_megabytes=_DISK_MEGABYTES),
        load=LoadOptions(batch=100),
        felt_by="writers",
        missing=no_small_disks,
    ),
]


def _needing_postgresql(drill: Drill) -> Drill:
    own = drill.missing
    return replace(drill, missing=lambda: no_postgresql() or own())


DRILLS = [_needing_postgresql(drill) for drill in _DRILLS]
