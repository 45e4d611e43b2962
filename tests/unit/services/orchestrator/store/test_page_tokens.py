from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.store.page_tokens import decode_page_token, encode_page_token
from services.runtime.errors import InvalidRequest

SCOPE = ("items", "default")


@given(st.text(max_size=128), st.integers(-(2**62), 2**62))
def test_a_key_comes_back(text: str, number: int) -> None:
    assert decode_page_token(SCOPE, encode_page_token(SCOPE, [text, number]), (str, int)) == [text, number]


def test_a_token_is_good_for_its_own_list_only() -> None:
    token = encode_page_token(SCOPE, ["heat"])
    for scope in (("items", "other"), ("events", "default"), ("items",)):
        with pytest.raises(InvalidRequest) as refused:
            decode_page_token(scope, token, (str,))
        assert refused.value.violations[0].field == "page_token"


def test_every_damaged_token_is_refused() -> None:
    token = encode_page_token(SCOPE, ["heat", 7])
    damaged = [
        token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        for position in range(len(token))
    ]
    for broken in [*damaged, token[:-1], token + "A", "=", "x", "é", "A" * 5_000, " ", token.lower()]:
        with pytest.raises(InvalidRequest) as refused:
            decode_page_token(SCOPE, broken, (str, int))
        assert refused.value.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("key", [[1], ["heat", 1], [], [True], [["heat"]]])
def test_a_key_of_another_shape_is_refused(key: list[object]) -> None:
    with pytest.raises(InvalidRequest):
        decode_page_token(SCOPE, encode_page_token(SCOPE, key), (str,))


def test_a_number_that_no_store_can_hold_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        decode_page_token(SCOPE, encode_page_token(SCOPE, [1 << 63]), (int,))


@given(st.text())
def test_no_text_makes_it_fail_otherwise(token: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_page_token(SCOPE, token, (str,))
