"""What a search asks for, checked and with defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass

from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import UserSettings
from services.orchestrator.recommend.options import DEFAULT_PAGE, MAXIMUM_PAGE, ItemFilter, read_filter
from services.runtime.validation import Violations

MAXIMUM_QUERY = 1_000
DEFAULT_PERSONAL = 0.2
DEFAULT_SUGGESTIONS, MAXIMUM_SUGGESTIONS = 8, 20


@dataclass(frozen=True)
class SearchOptions:
    """A checked `SearchRequest`; the filter is read with the user's settings later."""

    query: str
    user_id: str
    page_size: int
    personal_weight: float
    lexical: bool
    semantic: bool
    fast: bool


def read_search(request: pb.SearchRequest) -> SearchOptions:
    """Check a request; raises `InvalidRequest` naming every bad field."""
    check = Violations()
    check.text("query", request.query, maximum=MAXIMUM_QUERY)
    if request.user_id:
        check.identifier("user_id", request.user_id)
    weight = request.personal_weight if request.HasField("personal_weight") else DEFAULT_PERSONAL
    check.within("personal_weight", weight, 0.0, 1.0)
    if request.mode not in pb.SearchMode.values():
        check.add("mode", f"is {request.mode}; name a mode, for example SEARCH_MODE_LEXICAL")
    read_filter(check, request)
    size = check.size("page_size", request.page_size, default=DEFAULT_PAGE, maximum=MAXIMUM_PAGE)
    check.raise_if_any()
    return SearchOptions(
        query=request.query,
        user_id=request.user_id,
        page_size=size,
        personal_weight=weight,
        lexical=request.mode != pb.SEARCH_MODE_SEMANTIC,
        semantic=request.mode != pb.SEARCH_MODE_LEXICAL,
        fast=request.mode == pb.SEARCH_MODE_FAST,
    )


def read_suggest(request: pb.SuggestRequest) -> tuple[int, ItemFilter]:
    """Check a request and return the size of its answer and its filter; raises `InvalidRequest`."""
    check = Violations()
    check.text("query", request.query, maximum=MAXIMUM_QUERY)
    size = check.size("page_size", request.page_size, default=DEFAULT_SUGGESTIONS, maximum=MAXIMUM_SUGGESTIONS)
    wanted = read_filter(check, request)
    check.raise_if_any()
    return size, wanted


def filter_of(request: pb.SearchRequest, settings: bytes) -> ItemFilter:
    """Return the filter of a checked request, with the user's settings where it is silent."""
    filled = pb.SearchRequest()
    filled.CopyFrom(request)
    if settings:
        wishes = UserSettings.FromString(settings)
        if wishes.HasField("maximum_maturity_age") and not request.HasField("maximum_maturity_age"):
            filled.maximum_maturity_age = wishes.maximum_maturity_age
        if not request.excluded_tags:
            filled.excluded_tags.extend(wishes.excluded_tags)
        filled.region = request.region or wishes.region
    return read_filter(Violations(), filled)
