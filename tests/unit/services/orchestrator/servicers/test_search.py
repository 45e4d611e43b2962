"""Search through gRPC over a small catalogue, with the committed text model behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from marquee.common.v1 import report_pb2
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee.entertainment.v1 import user_service_pb2 as user_pb
from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceStub
from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceStub
from marquee.entertainment.v1.preference_pb2 import UserSettings
from marquee.entertainment.v1.search_service_pb2_grpc import SearchServiceStub
from marquee.entertainment.v1.user_service_pb2_grpc import UserServiceStub
from tests.support.clients import outcome_of
from tests.support.content_mesh import content_mesh

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXACT, PREFIX, TYPO = pb.WORD_MATCH_KIND_EXACT, pb.WORD_MATCH_KIND_PREFIX, pb.WORD_MATCH_KIND_TYPO
LEXICAL, SEMANTIC = pb.SEARCH_MODE_LEXICAL, pb.SEARCH_MODE_SEMANTIC
FILMS: list[dict[str, Any]] = [
    {
        "item_id": "matrix",
        "title": "Matrix, The (1999)",
        "tags": ["Action", "Sci-Fi"],
        "release_year": 1999,
        "maturity_age": 16,
    },
    {
        "item_id": "wall-e",
        "title": "WALL·E",
        "tags": ["Animation", "Sci-Fi"],
        "release_year": 2008,
        "description": "A small robot left alone on Earth follows a probe through space.",
    },
    {"item_id": "amelie", "title": "Amélie", "tags": ["Comedy", "Romance"], "release_year": 2001},
    {"item_id": "seven", "title": "Seven Samurai (七人の侍)", "tags": ["Action", "Drama"], "release_year": 1954},
    {"item_id": "spirited", "title": "千と千尋の神隠し", "tags": ["Animation"], "release_year": 2001},
    {"item_id": "cairo", "title": "باب الحديد", "tags": ["Drama"], "release_year": 1958},
    {"item_id": "spider", "title": "Spider-Man", "tags": ["Action"], "release_year": 2002},
    {"item_id": "party", "title": "🎉 Party", "tags": ["Comedy"]},
    {
        "item_id": "heat",
        "title": "Heat",
        "tags": ["Crime"],
        "release_year": 1995,
        "description": "A detective hunts a gang of professional bank robbers.",
    },
    {"item_id": "schindler", "title": "Schindler's List", "tags": ["Drama", "War"], "release_year": 1993},
    {"item_id": "space", "title": "2001: A Space Odyssey", "tags": ["Sci-Fi", "Adventure"], "release_year": 1968},
]


class Stubs:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._search: Any = SearchServiceStub(channel)
        self.catalog: Any = CatalogServiceStub(channel)
        self.events: Any = EventServiceStub(channel)
        self.users: Any = UserServiceStub(channel)

    async def fill(self, films: list[dict[str, Any]]) -> None:
        items = [catalog_pb.Item(**film) for film in films]
        await self.catalog.UpsertItems(catalog_pb.UpsertItemsRequest(items=items))

    async def search(self, query: str, **fields: Any) -> Any:
        return await self._search.Search(pb.SearchRequest(query=query, **fields))

    async def refused(self, query: str, **fields: Any) -> Any:
        return await outcome_of(self._search.Search(pb.SearchRequest(query=query, **fields)))

    async def found(self, query: str, **fields: Any) -> list[str]:
        return [item.item_id for item in (await self.search(query, **fields)).items]

    async def suggest(self, query: str, **fields: Any) -> list[str]:
        reply = await self._search.Suggest(pb.SuggestRequest(query=query, **fields))
        return [item.title for item in reply.items]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stubs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stubs]:
    """A filled catalogue that no test changes."""
    async with content_mesh(tmp_path_factory.mktemp("search"), with_classical=False) as mesh:
        stubs = Stubs(mesh.orchestrator)
        await stubs.fill(FILMS)
        yield stubs


@pytest_asyncio.fixture(loop_scope="module")
async def own(tmp_path: Path) -> AsyncIterator[Stubs]:
    """A filled catalogue that a test may change."""
    async with content_mesh(tmp_path, with_classical=False) as mesh:
        stubs = Stubs(mesh.orchestrator)
        await stubs.fill(FILMS)
        yield stubs


@pytest.mark.parametrize(
    ("query", "item_id"),
    [
        ("the matrix", "matrix"),
        ("MATRIX 1999", "matrix"),
        ("matrxi", "matrix"),
        ("matr", "matrix"),
        ("amelie", "amelie"),
        ("Ａｍéｌｉｅ", "amelie"),
        ("am\u200be\u0301lie", "amelie"),
        ("a\u0000me\u0007lie", "amelie"),
        ("schindlers lst", "schindler"),
        ("Schindler’s list", "schindler"),
        ("shcindler", "schindler"),
        ("spiderman", "spider"),
        ("spider man", "spider"),
        ("侍", "seven"),
        ("千尋", "spirited"),
        ("الحديد", "cairo"),
        ("\u202eالحديد\u202c", "cairo"),
        ("🎉", "party"),
        ("a film with a robot", "wall-e"),
        ("bank robbery", "heat"),
        ("samurai sword fight", "seven"),
    ],
)
async def test_what_people_type_finds_what_they_mean(stubs: Stubs, query: str, item_id: str) -> None:
    reply = await stubs.search(query)
    assert not reply.degraded, reply.steps
    assert reply.items[0].item_id == item_id, [(item.title, item.score) for item in reply.items]


async def test_meaning_finds_what_shares_no_word(stubs: Stubs) -> None:
    assert not await stubs.found("cops against thieves", mode=LEXICAL)
    reply = await stubs.search("cops against thieves")
    assert reply.items[0].item_id == "heat"
    assert reply.items[0].semantic_score > 0.3
    assert reply.items[0].lexical_score == 0


async def test_matches_say_which_words_and_how(stubs: Stubs) -> None:
    (match,) = (await stubs.search("matrxi")).items[0].matches
    assert (match.field, match.text, match.start, match.end) == ("title", "Matrix", 0, 6)
    assert (match.query_word, match.kind) == ("matrxi", TYPO)
    first = (await stubs.search("sci-fi 1999 matr")).items[0]
    kinds = {(match.field, match.text): match.kind for match in first.matches}
    assert kinds[("title", "Matrix")] == PREFIX
    assert kinds[("tag", "Sci-Fi")] == EXACT
    assert kinds[("year", "1999")] == EXACT
    title = (await stubs.search("amelie")).items[0]
    assert [title.title[match.start : match.end] for match in title.matches] == ["Amélie"]


async def test_a_misspelled_word_is_said_to_be_one(stubs: Stubs) -> None:
    assert (await stubs.search("the matrxi movie")).did_you_mean.startswith("the matrix")
    assert not (await stubs.search("the matrix")).did_you_mean
    assert not (await stubs.search("qqqqqqqqqq")).did_you_mean


async def test_nothing_found_is_an_empty_list_with_a_reason(stubs: Stubs) -> None:
    reply = await stubs.search("zzyzx qwxyz", mode=LEXICAL)
    assert not reply.items
    assert "no item has these words" in reply.reason
    nowhere = await stubs.search("matrix", filter="release_year > 2050")
    assert not nowhere.items
    assert "filter" in nowhere.reason
    assert not nowhere.degraded


@pytest.mark.parametrize(
    "odd", ["the", "the of and", "\u200b\u200c\u202e", "!!!", "🤷", "\x00\x01", "a " * 499, "x" * 1000]
)
async def test_odd_queries_are_answered(stubs: Stubs, odd: str) -> None:
    reply = await stubs.search(odd)
    assert not reply.degraded, reply.steps
    assert reply.items or reply.reason


@pytest.mark.parametrize(
    ("query", "fields", "field"),
    [
        ("", {}, "query"),
        ("  \t", {}, "query"),
        ("x" * 1_001, {}, "query"),
        ("x", {"page_size": -1}, "page_size"),
        ("x", {"personal_weight": 1.5}, "personal_weight"),
        ("x", {"personal_weight": float("nan")}, "personal_weight"),
        ("x", {"user_id": "u" * 129}, "user_id"),
        ("x", {"mode": 9}, "mode"),
        ("x", {"filter": "no_field == 1"}, "filter"),
        ("x", {"region": "Mars"}, "region"),
        ("x", {"page_token": "forged"}, "page_token"),
    ],
)
async def test_bad_input_names_the_field(stubs: Stubs, query: str, fields: dict[str, Any], field: str) -> None:
    outcome = await stubs.refused(query, **fields)
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in outcome.violations
    if len(query) > 1_000:
        assert "1,000" in outcome.violations[field]


async def test_filters_apply_inside_so_that_they_fill_the_page(own: Stubs) -> None:
    await own.fill(
        [{"item_id": f"space-{number}", "title": f"Space {number}", "tags": ["Sci-Fi"]} for number in range(400)]
    )
    rare = [
        {"item_id": f"rare-{number}", "title": f"Space and so much more of it {number}", "tags": ["Rare"]}
        for number in range(7)
    ]
    await own.fill(rare)
    assert len(await own.found("space", page_size=100)) == 100
    found = await own.found("space", page_size=100, filter='"Rare" in tags')
    assert set(found) == {film["item_id"] for film in rare}
    assert not set(await own.found("matrix", maximum_maturity_age=12)) & {"matrix"}
    assert "matrix" not in await own.found("matrix", excluded_tags=["action"])


async def test_pages_neither_repeat_nor_skip_while_the_catalogue_changes(own: Stubs) -> None:
    names = [f"space-{number:02}" for number in range(40)]
    await own.fill([{"item_id": name, "title": f"Space {name}", "tags": ["Sci-Fi"]} for name in names])
    seen: list[str] = []
    token = ""
    while True:
        reply = await own.search("space", page_size=7, page_token=token)
        seen += [item.item_id for item in reply.items]
        token = reply.next_page_token
        if not token:
            break
        await own.catalog.DeleteItem(catalog_pb.DeleteItemRequest(item_id=seen[0])) if len(seen) == 7 else None
        await own.fill([{"item_id": f"late-{len(seen)}", "title": "Space"}])
    assert len(seen) == len(set(seen))
    assert set(names) <= set(seen)


async def test_a_page_token_is_good_for_its_search_only(stubs: Stubs) -> None:
    token = (await stubs.search("drama", page_size=1)).next_page_token
    assert token
    for changed in ({"query": "comedy"}, {"query": "drama", "filter": "release_year > 1950"}):
        outcome = await stubs.refused(**changed, page_token=token)
        assert "page_token" in outcome.violations
    assert "page_token" in (await stubs.refused("drama", page_token=token[:-2] + "AA")).violations
    assert (await stubs.search("drama", page_size=3, page_token=token)).items


async def test_an_item_is_found_from_its_write_to_its_deletion(own: Stubs) -> None:
    assert "tron" not in await own.found("tron")
    await own.fill([{"item_id": "tron", "title": "Tron Legacy"}])
    assert (await own.found("tron legcay"))[0] == "tron"
    await own.fill([{"item_id": "tron", "title": "Quite Another Name"}])
    assert "tron" not in await own.found("legacy", mode=LEXICAL)
    assert (await own.found("another name"))[0] == "tron"
    await own.catalog.DeleteItem(catalog_pb.DeleteItemRequest(item_id="tron"))
    assert "tron" not in await own.found("another name")


async def test_a_user_s_taste_moves_what_is_found(own: Stubs) -> None:
    twins = [
        {"item_id": "laugh", "title": "Night Train", "tags": ["Comedy"]},
        {"item_id": "fight", "title": "Night Train", "tags": ["Action"]},
    ]
    await own.fill(twins)
    events = [
        event_pb.Event(event_id=f"{user}-{item}", user_id=user, item_id=item, kind=event_pb.EVENT_KIND_LIKE)
        for user, items in (("ann", ("amelie", "party")), ("bob", ("matrix", "spider")))
        for item in items
    ]
    await own.events.WriteEvents(event_pb.WriteEventsRequest(events=events))
    for user, first in (("ann", "laugh"), ("bob", "fight")):
        reply = await own.search("night train", user_id=user, personal_weight=0.5)
        assert reply.items[0].item_id == first
        assert reply.history_count == 2
        assert reply.items[0].personal_score > reply.items[1].personal_score
    for user in ("", "ann"):
        neutral = await own.search("night train", user_id=user, personal_weight=0)
        assert {item.personal_score for item in neutral.items} == {0.5}


async def test_stored_settings_hold_for_searches(own: Stubs) -> None:
    settings = UserSettings(maximum_maturity_age=12, excluded_tags=["Crime"])
    await own.users.SetUserSettings(user_pb.SetUserSettingsRequest(user_id="kid", settings=settings))
    assert "matrix" not in await own.found("matrix", user_id="kid")
    assert "heat" not in await own.found("heat", user_id="kid")
    assert "matrix" in await own.found("matrix", user_id="kid", maximum_maturity_age=18)


async def test_suggestions_complete_titles(stubs: Stubs) -> None:
    assert await stubs.suggest("sp") == ["Spider-Man", "2001: A Space Odyssey"]
    assert await stubs.suggest("schindl") == ["Schindler's List"]
    assert await stubs.suggest("2001 a sp") == ["2001: A Space Odyssey"]
    assert await stubs.suggest("zzz") == []
    assert await stubs.suggest("sp", filter="release_year < 1970") == ["2001: A Space Odyssey"]


async def test_an_empty_catalogue_and_a_missing_text_service(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_text=False, with_classical=False) as mesh:
        stubs = Stubs(mesh.orchestrator)
        empty = await stubs.search("anything")
        assert (list(empty.items), empty.reason, empty.degraded) == ([], "the catalogue is empty", False)
        await stubs.fill(FILMS)
        reply = await stubs.search("matrxi")
        assert reply.items[0].item_id == "matrix"


async def test_without_the_text_service_words_decide_and_the_answer_says_so(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_classical=False) as mesh:
        await Stubs(mesh.orchestrator).fill(FILMS)
    async with content_mesh(tmp_path, with_text=False, with_classical=False) as mesh:
        reply = await Stubs(mesh.orchestrator).search("matrxi")
        assert reply.items[0].item_id == "matrix"
        assert reply.degraded
        (step,) = [step for step in reply.steps if step.step == "search/semantic"]
        assert step.outcome == report_pb2.STEP_OUTCOME_FALLBACK
        assert "words alone decide" in step.detail
