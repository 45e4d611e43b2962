from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from marquee_client import MarqueeClient
from tests.unit.services.cli.conftest import Run


def write(path: Path, *rows: Mapping[str, object] | str, ending: str = "\n") -> str:
    path.write_bytes(
        ending.join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
        + (ending.encode() if rows else b"")
    )
    return str(path)


def test_items_and_events_are_imported_and_may_be_imported_again(run: Run, target: str, tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", {"item_id": "a", "title": "A"}, {"item_id": "b", "title": "B"})
    event = {"event_id": "e", "user_id": "u", "item_id": "a", "kind": "EVENT_KIND_LIKE"}
    events = write(tmp_path / "events.jsonl", event, ending="\r\n")
    first = run("import", "items", items)
    assert first.exit_code == 0
    assert "2 new, 0 replaced" in first.output
    assert "vectors follow" in first.output  # no model service is there
    assert "0 new, 2 replaced" in run("import", "items", items).output
    assert "1 written, 0 there before" in run("import", "events", events).output
    assert "0 written, 1 there before" in run("import", "events", events).output
    with MarqueeClient(target) as client:
        assert [item.title for item in client.list_items()] == ["A", "B"]
        assert [one.event_id for one in client.list_user_events("u")] == ["e"]


def test_bad_lines_are_reported_and_the_others_are_stored(run: Run, target: str, tmp_path: Path) -> None:
    rows: list[Mapping[str, object] | str] = [
        {"item_id": "a", "title": "A"},
        '{"item_id": "b", "title": ',
        {"item_id": "c", "title": "C", "colour": "red"},
        {"title": "without an id"},
        {"item_id": "e", "title": "E", "release_year": 3000},
        {"item_id": "f", "title": "F"},
    ]
    result = run("import", "items", write(tmp_path / "items.jsonl", *rows))
    assert result.exit_code == 1
    for words in ("line 2:", "line 3:", '"colour"', "line 4: item_id", "line 5: release_year", "4 refused"):
        assert words in result.output
    with MarqueeClient(target) as client:
        assert [item.item_id for item in client.list_items()] == ["a", "f"]


def test_a_later_line_replaces_an_earlier_one_with_the_same_id(run: Run, target: str, tmp_path: Path) -> None:
    rows = [{"item_id": "a", "title": "Old"}, {"item_id": "a", "title": "New"}]
    assert run("import", "items", write(tmp_path / "items.jsonl", *rows)).exit_code == 0
    with MarqueeClient(target) as client:
        assert client.get_item("a").title == "New"


def test_standard_input_and_an_empty_file(run: Run, target: str, tmp_path: Path) -> None:
    piped = run("import", "items", "-", stdin=b'\xef\xbb\xbf{"item_id": "a", "title": "A"}\r\n')
    assert piped.exit_code == 0
    assert "1 new" in piped.output
    empty = run("import", "items", write(tmp_path / "empty.jsonl"))
    assert empty.exit_code == 0
    assert "0 new" in empty.output


def test_many_refusals_are_summed_up(run: Run, target: str, tmp_path: Path) -> None:
    result = run("import", "events", write(tmp_path / "events.jsonl", *["{}"] * 30))
    assert result.exit_code == 1
    assert "and 10 more" in result.output
    assert "30 refused" in result.output


def test_a_missing_file_is_wrong_input(run: Run) -> None:
    result = run("import", "items", "nowhere.jsonl")
    assert result.exit_code == 2
    assert "nowhere.jsonl" in result.output
