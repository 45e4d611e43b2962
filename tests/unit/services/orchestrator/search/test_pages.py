from __future__ import annotations

import pytest

from marquee.entertainment.v1 import search_service_pb2 as pb
from services.orchestrator.search.pages import SearchPages, name_of
from services.runtime.errors import InvalidRequest

KEY, OTHER = "k" * 32, "o" * 32


def request(token: str = "", **fields: object) -> pb.SearchRequest:
    return pb.SearchRequest(**({"query": "heat", "page_token": token} | fields))  # type: ignore[arg-type]


def test_a_token_says_what_was_shown() -> None:
    pages = SearchPages([KEY], 3600)
    names = [name_of(str(number)) for number in range(300)]
    token = pages.token("ours", request(page_size=5), names)
    assert pages.shown("ours", request(token, page_size=7)) == names
    assert pages.shown("ours", request()) == []


def test_a_replaced_key_still_reads() -> None:
    token = SearchPages([OTHER], 3600).token("ours", request(), [name_of("a")])
    assert SearchPages([KEY, OTHER], 3600).shown("ours", request(token)) == [name_of("a")]


def test_what_was_not_given_is_refused() -> None:
    pages = SearchPages([KEY], 3600)
    token = pages.token("ours", request(), [name_of("a")])
    for tenant, asked, reason in (
        ("theirs", request(token), "INVALID_TOKEN"),
        ("ours", request(token[:-3] + "AAA"), "INVALID_TOKEN"),
        ("ours", request("é"), "INVALID_TOKEN"),
        ("ours", request("A" * 9_000), "INVALID_TOKEN"),
        ("ours", request(token, query="cold"), "REQUEST_CHANGED"),
        ("ours", request(token, user_id="ann"), "REQUEST_CHANGED"),
        ("ours", request(SearchPages([KEY], -1).token("ours", request(), [])), "EXPIRED_TOKEN"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            pages.shown(tenant, asked)
        assert refused.value.reason == reason
        assert refused.value.violations[0].field == "page_token"
