from __future__ import annotations

import asyncio
import json

import pytest

from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee_client import AsyncMarqueeClient, InvalidArgument, MarqueeClient
from tests.unit.services.cli.conftest import Run


@pytest.fixture
def filled(target: str) -> str:
    films = {
        "a": ("Casablanca [restored]", ["Drama", "Romance"], 1942),
        "b": ("Star Wars", ["Sci-Fi"], 1977),
        "c": ("Star Trek", ["Sci-Fi"], 1979),
        "d": ("\x1b[2J\u202eEvil Escape", ["Horror"], 2000),
    }
    with MarqueeClient(target) as client:
        client.upsert_items(
            [Item(item_id=key, title=title, tags=tags, release_year=year) for key, (title, tags, year) in films.items()]
        )
    return target


def test_a_search_shows_titles_parts_and_steps(run: Run, filled: str) -> None:
    result = run("search", "casablnaca")
    assert result.exit_code == 0
    for words in ("Did you mean casablanca?", "Casablanca [restored]", "1942", "words", "meaning", "search/lexical"):
        assert words in result.output
    assert "Star" not in result.output


def test_filters_modes_and_pages_reach_the_orchestrator(run: Run, filled: str) -> None:
    result = run("search", "star", "--filter", "release_year > 1978", "--no-steps", "--by", "words")
    assert "Star Trek" in result.output
    assert "Star Wars" not in result.output
    assert "search/lexical" not in result.output
    first = json.loads(run("search", "star", "--count", "1", "--json").output)
    second = json.loads(run("search", "star", "--count", "1", "--page", first["next_page_token"], "--json").output)
    assert {first["items"][0]["item_id"], second["items"][0]["item_id"]} == {"b", "c"}
    assert "taste" in run("search", "star", "--user", "u").output


def test_titles_do_not_steer_the_terminal(run: Run, filled: str) -> None:
    output = run("search", "evil escape", "--no-steps").output
    assert "Evil Escape" in output
    assert "\x1b[2J" not in output
    assert "\u202e" not in output


def test_nothing_found_is_said_with_its_reason(run: Run, filled: str) -> None:
    result = run("search", "zzzzzz")
    assert result.exit_code == 0
    assert "no item has these words" in result.output


def test_titles_are_completed(run: Run, filled: str) -> None:
    result = run("search", "casab", "--suggest")
    assert "Casablanca [restored]" in result.output
    assert "no title begins like this" in run("search", "qqq", "--suggest").output


def test_wrong_input_is_said_with_its_field(run: Run, filled: str) -> None:
    result = run("search", "star", "--personal", "7")
    assert result.exit_code == 2
    assert "personal_weight" in result.output
    assert run("search", "star", "--by", "smell").exit_code == 2


def test_both_clients_search_and_suggest(filled: str) -> None:
    async def asynchronous() -> tuple[list[str], list[str]]:
        async with AsyncMarqueeClient(filled) as client:
            found = await client.search("star terk", mode=pb.SEARCH_MODE_LEXICAL, page_size=1)
            return [item.title for item in found.items], [item.title for item in await client.suggest("star")]

    with MarqueeClient(filled) as client:
        found = client.search("star trek", excluded_tags=["Drama"], personal_weight=0.0)
        assert found.items[0].title == "Star Trek"
        assert [item.title for item in client.suggest("star wa", page_size=1)] == ["Star Wars"]
        with pytest.raises(InvalidArgument, match="query"):
            client.search("x" * 1_001)
    searched, suggested = asyncio.run(asynchronous())
    assert len(searched) == 1
    assert set(suggested) == {"Star Trek", "Star Wars"}
