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
from services.orchestrator.store.records import WriteCounts
from services.orchestrator.store.sqlite.connection import prepare_file
from services.runtime.sources import REPOSITORY_ROOT
from tests.unit.services.orchestrator.builders import event

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


async def test_a_file_of_the_first_revision_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    prepare_file(path, 1.0)
    upgrade_sqlite(path, "0001")
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO tenant_counters (tenant, catalog_sequence, item_count, event_sequence, event_count)"
            " VALUES ('default', 3, 1, 2, 2)"
        )
        connection.execute(
            "INSERT INTO items (tenant, item_id, change_sequence, update_time, maturity_age, release_year,"
            " text_vector_stale, title, tags, picture_labels, description)"
            " VALUES ('default', 'heat', 3, 5, 0, 1995, 1, 'Heat', '[]', '[]', '')"
        )
        connection.executemany(
            "INSERT INTO events (tenant, sequence, event_id, user_id, item_id, kind, weight, event_time, receive_time)"
            " VALUES ('default', ?, ?, 'ann', 'heat', 3, 1.0, ?, 7)",
            [(1, "e1", 10), (2, "e2", 20)],
        )
    connection.close()
    store = await open_store(f"sqlite:///{path}")
    assert [one.event_id for one in await store.list_user_events("default", "ann", 9)] == ["e2", "e1"]
    again = await store.write_events("default", [event("e1", item_id="other"), event("e3")])
    assert again == WriteCounts(1, 1), "known, and of a content that nobody noted"
    assert (await store.list_user_events("default", "ann", 9))[-1].sequence in {1, 3}
    changes = await store.item_changes("default", 3, 10)
    assert changes is not None
    assert changes.items == ()
    assert await store.item_changes("default", 0, 10) is None, "what was deleted before is not known"
    await store.close()
