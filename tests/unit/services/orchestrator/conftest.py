"""A store on a real file, fresh for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from services.orchestrator.store import Store, open_store
from services.orchestrator.store.sqlite.store import SqliteStore
from tests.support.postgres_fixtures import postgres_server, postgres_store, postgres_url

__all__ = ["postgres_server", "postgres_store", "postgres_url"]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the newest schema and no rows; running the migrations once a session keeps each test short."""
    path = tmp_path_factory.mktemp("store") / "empty.sqlite"

    async def create() -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    asyncio.run(create())
    return path


@pytest.fixture
def store_path(migrated_file: Path, tmp_path: Path) -> Path:
    """The file behind `store`."""
    path = tmp_path / "marquee.sqlite"
    path.write_bytes(migrated_file.read_bytes())
    return path


@pytest.fixture
async def sqlite_store(store_path: Path) -> AsyncIterator[SqliteStore]:
    """An open, empty SQLite store."""
    store = cast("SqliteStore", await open_store(f"sqlite:///{store_path}", busy_timeout_seconds=0.2))
    yield store
    await store.close()


@pytest.fixture
def store(sqlite_store: SqliteStore) -> Store:
    """The same, as the rest of the orchestrator sees it."""
    return sqlite_store
