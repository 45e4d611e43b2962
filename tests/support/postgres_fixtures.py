"""Fixtures on a real PostgreSQL: one server a session, a fresh database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from services.orchestrator.store import open_store
from services.orchestrator.store.postgres.store import PostgresStore
from tests.support.postgres import INSTALL, PostgresServer, programs

_TEMPLATE = "marquee_template"
_numbers = itertools.count(1)


def require_postgresql() -> None:
    """Skip the test without PostgreSQL; fail it under CI=true, where it must be there."""
    if programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server with a database that has the newest schema and no rows. Tests that stop it use one of their own."""
    require_postgresql()
    server = PostgresServer()

    async def create_template() -> None:
        await execute(server, f"CREATE DATABASE {_TEMPLATE}")
        await (await open_store(server.url(_TEMPLATE))).close()

    asyncio.run(create_template())
    yield server
    server.close()


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """URL of an empty database with the newest schema."""
    name = f"test_{next(_numbers)}"
    await execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield postgres_server.url(name)
    await execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def postgres_store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open, empty PostgreSQL store."""
    store = cast("PostgresStore", await open_store(postgres_url))
    yield store
    await store.close()


async def execute(server: PostgresServer, statement: str, database: str = "postgres") -> None:
    """Run a statement outside of a transaction."""
    async with connected(server.url(database)) as connection:
        await connection.execute(statement)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A connection of the test's own, an `asyncpg.Connection`."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
