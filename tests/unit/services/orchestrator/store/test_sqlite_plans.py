"""Reads on the path of a recommendation stay inside an index, whatever the size of the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.orchestrator.store.sqlite import recommendation


@pytest.fixture
def connection(store_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(store_path)
    yield opened
    opened.close()


def plan(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


def test_a_history_never_leaves_its_index_and_needs_no_sorting(connection: sqlite3.Connection) -> None:
    steps = plan(connection, recommendation._STATE, ("default", "ann", 100, 50_000))
    reads = [step for step in steps if "events" in step]
    assert len(reads) == 2
    assert all("COVERING INDEX events_by_user (tenant=? AND user_id=?)" in step for step in reads)
    assert not [step for step in steps if "TEMP B-TREE FOR ORDER BY" in step]
    assert not [step for step in steps if step.startswith("SCAN") and "subquery" not in step and "CONSTANT" not in step]


def test_a_page_of_a_history_starts_in_the_middle_of_the_index(connection: sqlite3.Connection) -> None:
    statement = (
        "SELECT event_id FROM events WHERE tenant = ? AND user_id = ? AND (event_time, sequence) < (?, ?)"
        " ORDER BY event_time DESC, sequence DESC LIMIT ?"
    )
    steps = plan(connection, statement, ("default", "ann", 5, 5, 10))
    assert steps == ["SEARCH events USING INDEX events_by_user (tenant=? AND user_id=? AND event_time<?)"] or (
        "(event_time,sequence)<" in steps[0]
    )


def test_what_waits_is_found_without_reading_the_catalogue(connection: sqlite3.Connection) -> None:
    statement = "SELECT item_id FROM items WHERE text_vector_stale = 1 ORDER BY tenant, item_id LIMIT 10"
    assert "items_by_stale_text" in plan(connection, statement, ())[0]
