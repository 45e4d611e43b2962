"""Opens the store that a URL names."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.orchestrator.store.protocol import Store

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")


class UnsupportedStore(ValueError):
    """The URL names no store that this version can open."""


async def open_store(
    url: str,
    *,
    busy_timeout_seconds: float = 2.0,
    readers: int = 2,
    connections: int = 10,
    statement_timeout_seconds: float = 10.0,
) -> Store:
    """Open the store and bring its schema up to date.

    Args:
        url: `sqlite:///relative/path` or `sqlite:////absolute/path`; file and folders are created when
            missing. `postgresql://user:password@host:port/database` with libpq's options after a question mark; the
            database must exist.
        busy_timeout_seconds: how long a call waits for another one that holds the database, and on PostgreSQL
            for a connection.
        readers: reads at the same time, of SQLite.
        connections: connections to PostgreSQL at most, but for one more at times: a third of them writes, one
            listens, the others read; at least 6.
        statement_timeout_seconds: longest time of a statement on PostgreSQL.

    Raises:
        UnsupportedStore: the URL names another kind of store, or no file or database. Never tells the password.
        ServiceError: the file or database cannot be opened or is no database.
    """
    if url.startswith(_POSTGRESQL):
        return await _open_postgresql(url, busy_timeout_seconds, connections, statement_timeout_seconds)
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path or path == ":memory:":
        scheme = url.partition("://")[0] if "://" in url else url
        raise UnsupportedStore(
            f"cannot open a store at {scheme!r}; supported is sqlite:///PATH, for example sqlite:///data/marquee.db,"
            " and postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    from services.orchestrator.store.sqlite.store import SqliteStore  # noqa: PLC0415  # only what the URL names

    return await asyncio.to_thread(
        SqliteStore.open, Path(path), busy_timeout_seconds=busy_timeout_seconds, readers=readers
    )


async def _open_postgresql(url: str, wait_seconds: float, connections: int, statement_seconds: float) -> Store:
    from services.orchestrator.store.postgres.connections import (  # noqa: PLC0415  # only what the URL names
        InvalidAddress,
        Server,
    )
    from services.orchestrator.store.postgres.store import PostgresStore  # noqa: PLC0415

    server = Server(url, lock_seconds=wait_seconds, statement_seconds=statement_seconds)
    try:
        return await PostgresStore.open(server, connections=connections, wait_seconds=wait_seconds)
    except InvalidAddress:
        raise UnsupportedStore(
            "cannot read the postgresql:// URL of the store; it is postgresql://USER:PASSWORD@HOST/DATABASE?OPTION=VALUE,"
            " with special characters of the password percent-encoded"
        ) from None
