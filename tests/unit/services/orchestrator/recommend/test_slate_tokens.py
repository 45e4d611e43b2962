"""What is signed, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.recommend.slate_tokens import Attribution, PageReference, TokenSigner
from services.runtime.errors import InvalidRequest

OLD, NEW = "o" * 32, "n" * 32
SLATE = "0123456789abcdef" * 2
NOW = 1_800_000_000_000_000
LATER = NOW + 60_000_000
REFERENCE = PageReference(SLATE, 20, b"fields..")


def page(keys: tuple[str, ...] = (OLD,)) -> str:
    return TokenSigner(keys).page("shop", "ann", REFERENCE, LATER)


def attribution() -> str:
    return TokenSigner([OLD]).attribution("shop", "ann", "heat", Attribution(SLATE, 3), LATER)


def read_page(
    token: str, keys: tuple[str, ...] = (OLD,), now: int = NOW, tenant: str = "shop", user_id: str = "ann"
) -> PageReference:
    return TokenSigner(keys).read_page(token, now=now, tenant=tenant, user_id=user_id)


def test_a_token_says_what_was_signed() -> None:
    assert read_page(page()) == REFERENCE
    read = TokenSigner([OLD]).read_attribution(attribution(), tenant="shop", user_id="ann", item_id="heat", now=NOW)
    assert read == Attribution(SLATE, 3)
    assert len(page()) < 80


@pytest.mark.parametrize(("tenant", "user_id"), [("other", "ann"), ("shop", "bob")])
def test_a_page_token_is_good_for_whom_it_was_given_to(tenant: str, user_id: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_page(page(), tenant=tenant, user_id=user_id)
    assert refused.value.reason == "INVALID_TOKEN"
    assert refused.value.violations[0].field == "page_token"


@pytest.mark.parametrize("change", [{"tenant": "other"}, {"user_id": "bob"}, {"item_id": "ran"}])
def test_an_attribution_is_of_one_tenant_user_and_item(change: dict[str, str]) -> None:
    whom = {"tenant": "shop", "user_id": "ann", "item_id": "heat"} | change
    with pytest.raises(InvalidRequest) as refused:
        TokenSigner([OLD]).read_attribution(attribution(), now=NOW, **whom)
    assert refused.value.violations[0].field == "attribution_token"


def test_one_kind_does_not_pass_for_the_other() -> None:
    with pytest.raises(InvalidRequest):
        read_page(attribution())
    with pytest.raises(InvalidRequest):
        TokenSigner([OLD]).read_attribution(page(), tenant="shop", user_id="ann", item_id="heat", now=NOW)


def test_a_token_expires() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_page(page(), now=LATER + 1)
    assert refused.value.reason == "EXPIRED_TOKEN"


def test_keys_are_replaced_without_refusing_what_was_signed() -> None:
    assert read_page(page(), keys=(NEW, OLD)) == REFERENCE
    assert read_page(page((NEW, OLD)), keys=(NEW,)) == REFERENCE
    with pytest.raises(InvalidRequest):
        read_page(page(), keys=(NEW,))


@given(place=st.integers(0, 75), bit=st.integers(0, 7))
def test_any_change_is_noticed(place: int, bit: int) -> None:
    token = bytearray(page().encode())
    place %= len(token)
    token[place] ^= 1 << bit
    changed = bytes(token).decode("latin-1")
    try:
        read = read_page(changed)
    except InvalidRequest:
        return
    assert read == REFERENCE, "at most unused bits of the last character may differ"


@given(st.text(max_size=400))
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest):
        read_page(token)


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, ""]])
def test_weak_keys_are_not_taken(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="32"):
        TokenSigner(keys)


def test_an_attribution_says_of_itself_which_list_it_comes_from() -> None:
    signer = TokenSigner(["k" * 32])
    token = signer.attribution("studio", "ann", "heat", Attribution("ab" * 16, 3), 10**15)
    assert signer.claimed_attribution(token) == Attribution("ab" * 16, 3)
    page = signer.page("studio", "ann", PageReference("ab" * 16, 3, b"12345678"), 10**15)
    for odd in ("", "nonsense", page, token[:-6], "é" * 10, "A" * 1_000):
        with pytest.raises(InvalidRequest):
            signer.claimed_attribution(odd)
