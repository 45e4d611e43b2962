"""The commands for backup and restore in docs/state.md, run as they stand there, while events are written."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from services.orchestrator.store import Store, open_store
from tests.support.postgres import PostgresServer, programs
from tests.support.postgres_fixtures import execute, require_postgresql
from tests.unit.services.orchestrator.builders import event, item

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parents[2] / "docs" / "state.md"
TENANT = "default"


def command(name: str) -> str:
    found = re.search(rf"```sh {name}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, name
    return found[1]


async def shell(words: str, folder: Path, **variables: str) -> None:
    process = await asyncio.create_subprocess_shell(words, cwd=folder, env={**os.environ, **variables})
    assert await process.wait() == 0, words


async def write_until(store: Store, done: asyncio.Event) -> int:
    """Write batches of ten events with one item until told to stop; returns how many batches."""
    batches = 0
    while not done.is_set():
        await store.write_events(TENANT, [event(f"{batches}-{place}") for place in range(10)])
        batches += 1
    return batches


async def taken_while_written(store: Store, backup: str, folder: Path, **variables: str) -> int:
    await store.upsert_items(TENANT, [item("heat")])
    done = asyncio.Event()
    writer = asyncio.create_task(write_until(store, done))
    await asyncio.sleep(0.2)
    await shell(backup, folder, **variables)
    before = (await store.event_totals(TENANT)).count
    done.set()
    await writer
    return before


async def assert_consistent(store: Store, most: int) -> None:
    """Whole batches, no more than were written, and it takes new events."""
    count = (await store.event_totals(TENANT)).count
    assert 0 < count <= most
    assert count % 10 == 0
    assert len(await store.list_user_events(TENANT, "ann", 10_000)) == min(count, 10_000)
    assert await store.get_item(TENANT, "heat") is not None
    again = await store.write_events(TENANT, [event("0-0"), event("new")])
    assert (again.written, again.duplicates) == (1, 1)


async def test_sqlite(tmp_path: Path) -> None:
    file = tmp_path / "marquee.sqlite"
    store = await open_store(f"sqlite:///{file}")
    most = await taken_while_written(store, command("backup-sqlite"), tmp_path)
    await store.close()
    file.write_bytes(b"\0" * 4096)
    await shell(command("restore-sqlite"), tmp_path)
    restored = await open_store(f"sqlite:///{file}")
    await assert_consistent(restored, most)
    await restored.close()


async def test_postgresql(postgres_server: PostgresServer, postgres_url: str, tmp_path: Path) -> None:
    require_postgresql()
    folder = programs()
    assert folder is not None
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("pg_dump", path=path) is None:
        pytest.skip("pg_dump is not installed")
    store = await open_store(postgres_url)
    most = await taken_while_written(
        store, command("backup-postgresql"), tmp_path, PATH=path, DATABASE_URL=postgres_url
    )
    await store.close()
    await execute(postgres_server, "CREATE DATABASE restored")
    url = postgres_server.url("restored")
    await shell(command("restore-postgresql"), tmp_path, PATH=path, NEW_DATABASE_URL=url)
    restored = await open_store(url)
    await assert_consistent(restored, most)
    await restored.close()
