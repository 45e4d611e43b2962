from __future__ import annotations

import itertools
import subprocess
import sys
import time

import grpc
import pytest

from services.orchestrator.store import migrations, open_store
from services.orchestrator.store.migrations.upgrade import postgres_revision
from services.orchestrator.store.records import EventTotals
from services.runtime.errors import ServiceError
from services.runtime.sources import REPOSITORY_ROOT
from tests.support.postgres import PostgresServer
from tests.support.postgres_fixtures import connected, execute
from tests.unit.services.orchestrator.builders import item

_numbers = itertools.count(1)


async def create(server: PostgresServer, options: str = "") -> str:
    """Create an empty database and return its URL."""
    name = f"empty_{next(_numbers)}"
    await execute(server, f"CREATE DATABASE {name} {options}")
    return server.url(name)


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of its own process."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY_ROOT)


async def test_an_empty_database_gets_the_whole_schema(postgres_server: PostgresServer) -> None:
    url = await create(postgres_server)
    async with connected(url) as connection:
        assert await postgres_revision(connection) == ""
        await (await open_store(url)).close()
        assert await postgres_revision(connection) == migrations.HEAD


async def test_every_table_is_scoped_by_tenant(postgres_url: str) -> None:
    async with connected(postgres_url) as connection:
        keys = await connection.fetch(
            "SELECT relname, (SELECT attname FROM pg_attribute WHERE attrelid = relation.oid AND attnum = indkey[0])"
            " FROM pg_class AS relation JOIN pg_index ON indrelid = relation.oid AND indisprimary"
            " WHERE relnamespace = 'public'::regnamespace AND relname NOT IN ('alembic_version', 'commit_marks')"
        )
    assert {"events", "items", "slates", "routes", "event_receipts"} <= {table for table, _ in keys}
    assert {column for _, column in keys} == {"tenant"}


async def test_processes_that_start_together_all_succeed(postgres_server: PostgresServer) -> None:
    url = await create(postgres_server)
    program = (
        "import asyncio, sys\n"
        "from services.orchestrator.store import open_store\n"
        "from services.orchestrator.store.records import EventWrite\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1], busy_timeout_seconds=10)\n"
        "    await store.write_events('default', [EventWrite(sys.argv[2], 'ann', 'heat', 3, 1.0, 1)])\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    running = [start(program, url, f"event{number}") for number in range(2)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    store = await open_store(url)
    assert await store.event_totals("default") == EventTotals(2, 2)
    await store.close()


async def test_an_up_to_date_store_opens_at_once(postgres_url: str) -> None:
    start = time.perf_counter()
    store = await open_store(postgres_url)
    seconds = time.perf_counter() - start
    await store.close()
    assert seconds < 1


def test_an_up_to_date_store_never_loads_alembic(postgres_url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from services.orchestrator.store import open_store\n"
        "async def main():\n"
        "    await (await open_store(sys.argv[1])).close()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules, 'sqlalchemy' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, postgres_url]
    assert subprocess.check_output(command, text=True, cwd=REPOSITORY_ROOT).split() == ["False", "False"]


async def test_a_newer_schema_is_left_alone(postgres_url: str) -> None:
    """The release before must run on the schema of the next one, so that a roll-out can go back."""
    async with connected(postgres_url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await (await open_store(postgres_url)).close()
        assert await postgres_revision(connection) == "9999"


async def test_ids_sort_by_their_bytes_whatever_the_locale_of_the_database(postgres_server: PostgresServer) -> None:
    url = await create(
        postgres_server, "LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C.UTF-8' ENCODING 'UTF8' TEMPLATE template0"
    )
    store = await open_store(url)
    ids = ["Z", "a", "aa", "b", "é", "_", "10", "9"]
    await store.upsert_items("default", [item(item_id) for item_id in ids])
    found = [entry.item_id for entry in await store.list_items("default", "", 100)]
    await store.close()
    assert found == sorted(ids, key=str.encode)


async def test_a_database_that_is_not_in_utf8_is_refused(postgres_server: PostgresServer) -> None:
    url = await create(postgres_server, "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ServiceError) as refused:
        await open_store(url)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STORE_ENCODING")
