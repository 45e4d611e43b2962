"""The SQLite file: its disk is full, another process holds it, its log is torn."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from tests.chaos import sandbox, write_ahead_log
from tests.chaos.drill import Drill, Scene
from tests.chaos.load import LoadOptions
from tests.chaos.needs import Needs

_LOCK_SECONDS = 6.0
_FULL_SECONDS = 4.0
_UNTIL_FULL_SECONDS = 25.0
_DISK_MEGABYTES = 48
_TEARS = 3
_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


async def locked(scene: Scene) -> None:
    """Hold the file's write lock in another process."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _LOCK,
        str(scene.mesh.sqlite_path),
        str(_LOCK_SECONDS),
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    await holder.wait()
    await scene.healed()


async def torn(scene: Scene) -> None:
    """Kill the orchestrator in mid-write and tear the log behind the last commit, as a power failure would."""
    for _ in range(_TEARS):
        await scene.until(lambda: bool(scene.load.tally.acknowledged), 10)
        await scene.kill("orchestrator-1")
        log = scene.mesh.sqlite_path.with_name(scene.mesh.sqlite_path.name + "-wal")
        scene.outcome.notes.append(write_ahead_log.tear(log) if log.exists() else "there was no log")
        await scene.start("orchestrator-1")
        await scene.healed()


async def disk_full(scene: Scene) -> None:
    """Take all space of the store's disk until writes fail, keep it for a while, give it back."""
    await fill_disk(scene)
    assert scene.mesh.disk is not None
    scene.mesh.disk.free()
    await scene.healed()
    codes = dict(scene.load.tally.write_failures)
    if codes.keys() - {"RESOURCE_EXHAUSTED"}:
        scene.outcome.problems.append(f"a full disk was told as {codes}")


async def fill_disk(scene: Scene) -> None:
    """Take all space of the store's disk until writes have failed for a while."""
    disk = scene.mesh.disk
    assert disk is not None

    def fill_until_felt() -> bool:
        disk.fill()
        return bool(scene.load.tally.write_failures)

    await scene.until(fill_until_felt, _UNTIL_FULL_SECONDS)
    await scene.pause(_FULL_SECONDS)


def no_small_disks() -> str:
    """Return why no small disk can be made here; empty when one can."""
    return "" if sandbox.is_inside() else "needs root, to mount a small disk"


DRILLS = [
    Drill(
        "SQLite locked",
        locked,
        f"another process holds the file's write lock for {_LOCK_SECONDS:.0f} s",
        felt_by="writers",
    ),
    Drill(
        "SQLite log torn",
        torn,
        f"kill -9 of the orchestrator and half a page of garbage behind the last commit, {_TEARS} times",
        takes_orchestrator=True,
        felt_by="writers",
    ),
    Drill(
        "SQLite disk full",
        disk_full,
        f"the store's disk has no byte left, {_FULL_SECONDS:.0f} s beyond the first refused write",
        needs=Needs(disk_megabytes=_DISK_MEGABYTES),
        load=LoadOptions(batch=100),
        felt_by="writers",
        missing=no_small_disks,
    ),
]
