"""Opens the store that a URL names."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.orchestrator.store.protocol import Store

_SQLITE = "sqlite:///"


class UnsupportedStore(ValueError):
    """The URL names no store that this version can open."""


async def open_store(url: str, *, busy_timeout_seconds: float = 2.0, readers: int = 2) -> Store:
    """Open the store and bring its schema up to date.

    Args:
        url: `sqlite:///relative/path` or `sqlite:////absolute/path`; file and folders are created when
            missing.
        busy_timeout_seconds: how long a write waits for another process that holds the database.
        readers: reads at the same time.

    Raises:
        UnsupportedStore: the URL names another kind of store, or no file.
        ServiceError: the file cannot be opened or is no database.
    """
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path or path == ":memory:":
        scheme = url.partition("://")[0] if "://" in url else url
        raise UnsupportedStore(
            f"cannot open a store at {scheme!r}; supported is sqlite:///PATH, for example sqlite:///data/marquee.db"
        )
    from services.orchestrator.store.sqlite.store import SqliteStore  # noqa: PLC0415  # only what the URL names

    return await asyncio.to_thread(
        SqliteStore.open, Path(path), busy_timeout_seconds=busy_timeout_seconds, readers=readers
    )
