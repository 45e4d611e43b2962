from __future__ import annotations

import json

import pytest

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee.entertainment.v1.recommendation_service_pb2 import RecommendedItem
from marquee_client import MarqueeClient
from services.cli.demo_chapters import changes
from services.cli.ports import free_ports
from tests.unit.services.cli.conftest import Run


@pytest.fixture
def filled(target: str) -> str:
    films = {"a": ("Alpha", ["Drama"]), "b": ("Beta [rare]", ["Comedy"]), "c": ("Gamma", ["Comedy", "Horror"])}
    with MarqueeClient(target) as client:
        client.upsert_items([Item(item_id=key, title=title, tags=tags) for key, (title, tags) in films.items()])
        client.write_events(
            [
                Event(event_id=f"{user}-{item}", user_id=user, item_id=item, kind=EVENT_KIND_LIKE)
                for user, item in (("u", "a"), ("v", "b"), ("v", "c"), ("w", "b"))
            ]
        )
    return target


def test_a_list_shows_titles_reasons_and_steps(run: Run, filled: str) -> None:
    result = run("recommend", "u", "--count", "5")
    assert result.exit_code == 0
    for words in ("For user u (from 1 event)", "Beta [rare]", "Gamma", "Popular", "How it was made", "history"):
        assert words in result.output
    assert "Alpha" not in result.output  # seen
    assert "marquee train" in result.output  # no bundle serves


def test_filters_reach_the_orchestrator(run: Run, filled: str) -> None:
    result = run("recommend", "u", "--tag", "Comedy", "--exclude-tag", "Horror", "--no-steps", "--no-explain")
    assert "Beta" in result.output
    assert "Gamma" not in result.output
    assert "Popular" not in result.output
    assert "How it was made" not in result.output
    assert "Alpha" in run("recommend", "u", "--include-seen").output
    assert "nothing passes the filters" in run("recommend", "u", "--tag", "Western").output


def test_json_is_the_whole_answer(run: Run, filled: str) -> None:
    answer = json.loads(run("recommend", "u", "--json").output)
    assert {item["title"] for item in answer["items"]} == {"Beta [rare]", "Gamma"}
    assert answer["history_count"] == 1


def test_titles_like_one(run: Run, filled: str) -> None:
    result = run("similar", "b")
    assert result.exit_code == 0
    assert "Like Beta [rare]" in result.output
    assert "Gamma" in result.output


def test_an_unknown_item_is_said_in_one_line(run: Run, filled: str) -> None:
    result = run("similar", "zzz")
    assert result.exit_code == 1
    assert result.output.strip().splitlines() == ["item_id: no item 'zzz'"]


def test_wrong_input_is_said_with_its_field(run: Run, filled: str) -> None:
    result = run("recommend", "u", "--count", "-1", "--diversity", "7")
    assert result.exit_code == 2
    assert "page_size" in result.output
    assert "diversity" in result.output


def test_without_a_mesh_the_advice_is_to_start_one(run: Run) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    result = run("recommend", "u", "--target", f"127.0.0.1:{port}")
    assert result.exit_code == 3
    assert f"no orchestrator at 127.0.0.1:{port}: start one with `marquee up`" in result.output


def test_a_wrong_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_TIMEOUT", "soon")
    result = run("recommend", "u")
    assert result.exit_code == 2
    assert "MARQUEE_TIMEOUT" in result.output


def test_changes_between_two_lists_are_marked() -> None:
    before = [RecommendedItem(item_id=item_id) for item_id in "abcd"]
    after = [RecommendedItem(item_id=item_id) for item_id in "xbad"]
    marks = changes(before, after)
    assert set(marks) == {"x", "a"}
    assert "new" in marks["x"]
    assert "↓2" in marks["a"]
