from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from services.orchestrator.store import migrations, open_store
from services.orchestrator.store.migrations.upgrade import sqlite_revision, upgrade_sqlite
from services.runtime.sources import REPOSITORY_ROOT

FOLDER = Path(migrations.__file__).parent


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    finally:
        connection.close()


def test_head_is_the_newest_revision_and_revisions_rise() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == migrations.HEAD
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


def test_an_empty_file_gets_the_whole_schema(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    assert sqlite_revision(path) == ""
    upgrade_sqlite(path)
    assert sqlite_revision(path) == migrations.HEAD
    assert {"items", "events", "item_statistics", "bundle_pointers", "pending_pictures"} <= tables(path)


def test_every_table_is_scoped_by_tenant(migrated_file: Path) -> None:
    connection = sqlite3.connect(migrated_file)
    try:
        for table in tables(migrated_file) - {"alembic_version"}:
            columns = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
            assert ("tenant", 1) in columns, table
    finally:
        connection.close()


async def test_an_up_to_date_store_opens_at_once(store_path: Path) -> None:
    start = time.perf_counter()
    store = await open_store(f"sqlite:///{store_path}")
    seconds = time.perf_counter() - start
    await store.close()
    assert seconds < 0.5


def test_an_up_to_date_store_never_loads_alembic(store_path: Path) -> None:
    """It would cost a third of a second and 30 MB at every start."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from services.orchestrator.store.migrations.upgrade import upgrade_sqlite\n"
        "upgrade_sqlite(Path(sys.argv[1]))\n"
        "print('alembic' in sys.modules, 'sqlalchemy' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(store_path)]
    assert subprocess.check_output(command, text=True, cwd=REPOSITORY_ROOT).split() == ["False", "False"]


def test_a_newer_schema_is_left_alone(store_path: Path) -> None:
    """The release before must run on the schema of the next one, so that a roll-out can go back."""
    connection = sqlite3.connect(store_path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    upgrade_sqlite(store_path)
    assert sqlite_revision(store_path) == "9999"


def test_processes_that_start_together_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    program = (
        "import asyncio, sys\n"
        "from services.orchestrator.store import open_store\n"
        "from services.orchestrator.store.records import EventWrite\n"
        "async def main():\n"
        f"    store = await open_store('sqlite:///{path}', busy_timeout_seconds=10)\n"
        "    await store.write_events('default', [EventWrite(sys.argv[1], 'ann', 'heat', 3, 1.0, 1)])\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"event{number}"], stderr=subprocess.PIPE, text=True, cwd=REPOSITORY_ROOT
        )
        for number in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)
    connection.close()
