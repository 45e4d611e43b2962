"""A torn log: SQLite finds every committed transaction and nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.chaos.write_ahead_log import committed_end, tear


def test_torn_log_keeps_what_was_committed(tmp_path: Path) -> None:
    path, log = tmp_path / "a.sqlite", tmp_path / "a.sqlite-wal"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE numbers (number INTEGER)")
    for number in range(50):
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
    content = log.read_bytes()
    assert committed_end(content) == len(content), "every transaction is finished"
    copied = tmp_path / "b.sqlite"
    shutil.copy(path, copied)
    torn = tmp_path / "b.sqlite-wal"
    torn.write_bytes(content)
    assert "half a page" in tear(torn)
    assert torn.stat().st_size > len(content)
    assert committed_end(torn.read_bytes()) == len(content)
    read = sqlite3.connect(copied)
    assert read.execute("SELECT count(*) FROM numbers").fetchone() == (50,)
    assert read.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    read.close()
