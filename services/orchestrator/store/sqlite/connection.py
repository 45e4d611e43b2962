"""Opens connections with the settings that the store's promises rest on."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

_OLDEST_SQLITE = (3, 38, 0)
_CACHE_KIBIBYTES = 64 << 10
"""Receipts lie in the order of a digest, so every write touches pages all over them: they should stay in memory."""
_CHECKPOINT_PAGES = 64_000
"""The log's size at which it is copied into the file, 256 MB: a page is then copied once for many writes. Ingest near a
million events is a quarter slower with an eighth of it; a restart reads the log in about a second."""
_JOURNAL_ATTEMPTS = 200
_JOURNAL_PAUSE_SECONDS = 0.05


class OldSqlite(RuntimeError):
    """The Python runtime is linked with a SQLite that lacks what the store needs."""


def open_connection(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """Open a connection for use from any one thread at a time; transactions are begun explicitly.

    `synchronous=FULL` makes each commit wait until the log is on disk: that is what an acknowledgement means.
    """
    connection = sqlite3.connect(
        path,
        timeout=busy_timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare_file(path: Path, busy_timeout_seconds: float) -> None:
    """Create the file and its folder when missing and switch it to write-ahead logging, which is kept in the
    file.

    Raises:
        OldSqlite: SQLite is older than the store needs.
        sqlite3.Error: the file cannot be opened, is no database or stays locked.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        raise OldSqlite(f"this Python has SQLite {sqlite3.sqlite_version}; the store needs {oldest} or newer")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = open_connection(path, busy_timeout_seconds)
    try:
        for attempt in range(_JOURNAL_ATTEMPTS):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait for the lock here when another process switches at the same moment.
                locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not locked or attempt == _JOURNAL_ATTEMPTS - 1:
                    raise
                time.sleep(_JOURNAL_PAUSE_SECONDS)
    finally:
        connection.close()
