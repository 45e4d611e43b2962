"""Brings a database to the newest schema."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.orchestrator.store.migrations import HEAD, SCHEMA_LOCK

if TYPE_CHECKING:
    import sqlalchemy

_FOLDER = Path(__file__).parent
_WAIT_SECONDS = 30


def sqlite_revision(path: Path) -> str:
    """Return the revision of the schema in the file; empty before the first."""
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return ""
        raise
    finally:
        connection.close()


def upgrade_sqlite(path: Path, revision: str = HEAD) -> None:
    """Run the revisions that the database lacks, all in one transaction; nothing happens when it is up to
    date or newer.

    Processes that start together queue at the write lock; the later ones find the work done.

    Args:
        path: the database's file.
        revision: where to stop.
    """
    if sqlite_revision(path) >= revision:
        return
    # Imported here: together they take a third of a second and 30 MB, which a store that is up to date never pays.
    import sqlalchemy  # noqa: PLC0415

    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)),
        poolclass=sqlalchemy.NullPool,
        connect_args={"timeout": _WAIT_SECONDS},
    )

    # The driver would begin its transactions late and without the lock; we begin them ourselves.
    @sqlalchemy.event.listens_for(engine, "connect")
    def leave_transactions_alone(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin_with_the_write_lock(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        _run_revisions(connection, revision)
    engine.dispose()


async def postgres_revision(connection: Any) -> str:
    """Return the revision of the schema that an asyncpg connection leads to; empty before the first."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return ""
    return str(await connection.fetchval("SELECT version_num FROM alembic_version") or "")


async def upgrade_postgres(connect: Callable[[], Awaitable[Any]]) -> None:
    """Run the revisions that the database lacks, all in one transaction; nothing happens when it is up to
    date or newer.

    Processes that start together queue at an advisory lock; the later ones find the work done.

    Args:
        connect: opens an asyncpg connection whose statements may take as long as they need.
    """
    connection = await connect()
    try:
        if await postgres_revision(connection) >= HEAD:
            return
    finally:
        await connection.close()
    await asyncio.to_thread(importlib.import_module, "alembic.command")
    from sqlalchemy import NullPool, text  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.begin() as migrating:
        await migrating.execute(text(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"))
        await migrating.run_sync(_run_revisions)
    await engine.dispose()


def _run_revisions(connection: sqlalchemy.Connection, revision: str = HEAD) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
