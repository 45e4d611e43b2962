"""A process that is killed loses nothing that it acknowledged."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from services.orchestrator.store import open_store
from services.runtime.sources import REPOSITORY_ROOT

WRITER = """
import asyncio, sys
from services.orchestrator.store import open_store
from services.orchestrator.store.records import EventWrite

async def caller(store, name):
    for number in range(100_000):
        event_id = f"{name}-{number}"
        await store.write_events("default", [EventWrite(event_id, name, "heat", 3, 1.0, number)])
        sys.stdout.write(event_id + "\\n")
        sys.stdout.flush()

async def main():
    store = await open_store(sys.argv[1])
    await asyncio.gather(*(caller(store, f"caller{number}") for number in range(8)))

asyncio.run(main())
"""


def acknowledged_until_killed(url: str) -> list[str]:
    """Let a process write until it has acknowledged some hundred events, and kill it in the middle of the next."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY_ROOT
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.wait()
    return acknowledged


async def test_killed_after_acknowledging(store_path: Path) -> None:
    url = f"sqlite:///{store_path}"
    acknowledged = await asyncio.to_thread(acknowledged_until_killed, url)
    assert len(acknowledged) >= 300
    store = await open_store(url)
    stored = [entry async for page in store.export_events("default", after_sequence=0, page_size=500) for entry in page]
    totals = await store.event_totals("default")
    [statistics] = await store.item_statistics("default")
    await store.close()
    assert set(acknowledged) <= {entry.event_id for entry in stored}
    assert totals.count == totals.maximum_sequence == statistics.event_count == len(stored)
    connection = sqlite3.connect(store_path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
