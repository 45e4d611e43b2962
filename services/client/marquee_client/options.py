"""What both clients share: defaults, and the options of a list, named as in the contract."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TypedDict

from marquee.entertainment.v1 import preference_pb2 as preference_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import search_service_pb2 as search_pb

DEFAULT_TARGET = "127.0.0.1:50060"
DEFAULT_TIMEOUT = 10.0
"""Seconds an ordinary call may take."""
EXPORT_TIMEOUT = 600.0
"""Seconds an export may take: it streams a whole catalogue or history."""


class ListOptions(TypedDict, total=False):
    """Options of `similar_items` and `suggest`; those left out have the contract's defaults."""

    page_size: int
    """Items wanted; 10 when left out, at most 100."""
    required_tags: Iterable[str]
    """Only items that carry at least one of these tags."""
    excluded_tags: Iterable[str]
    """No items that carry any of these tags."""
    maximum_maturity_age: int | None
    """Only items suitable for this age in years."""
    region: str
    """Region of the user, for example "DE" or "US-CA"; items that are not available there are left out."""
    entitlements: Iterable[str]
    """What the user holds; items that need something else are left out."""
    filter: str
    """Only items that pass this expression in the Common Expression Language."""


class SearchOptions(ListOptions, total=False):
    """Options of `search`; those left out have the contract's defaults."""

    user_id: str
    """User that the search is for; nobody when left out."""
    personal_weight: float | None
    """How much the user's taste moves what was found, 0 to 1; 0.2 when left out."""
    mode: search_pb.SearchMode.ValueType
    """By words alone or by meaning alone instead of both."""
    page_token: str
    """`next_page_token` of the page before, for another page of the same search."""


class RecommendOptions(ListOptions, total=False):
    """Options of `recommend`; those left out have the contract's defaults."""

    excluded_item_ids: Iterable[str]
    """Items that must not be returned."""
    diversity: float | None
    """How much the list avoids items that resemble each other, 0 to 1."""
    include_seen: bool
    """Also return items the user has already had events with."""
    reason_count: int | None
    """Reasons to give for each item; 3 when left out."""
    require_known_user: bool
    """Raise `NotFound` for a user without events instead of returning what is popular."""
    page_token: str
    """`next_page_token` of the page before, for another page of the same list."""
    surface: str
    """Where the list is shown, for example "home"."""
    novelty: float | None
    """How much the list prefers what few people know, 0 to 1."""
    session_item_ids: Iterable[str]
    """Items looked at in this session that are not stored as events, oldest first."""
    slots: Iterable[recommendation_pb.Slot]
    """Items at fixed positions."""
    category_caps: Iterable[preference_pb.CategoryCap]
    """Most items of a tag on each page."""
    promotions: Iterable[recommendation_pb.Promotion]
    """Items or tags to move up or down."""
    tastes: Iterable[preference_pb.Taste]
    """What the user says to like or dislike."""
    source_weights: Mapping[str, float]
    """Factor for each candidate source, 0 to 10; 1 where not named."""
    arm: str
    """Arm of the route to take instead of the user's own."""
    seed: int | None
    """Decides every random choice: the same seed and the same state give the same list."""
    impression_fatigue: float | None
    """How much items sink that were on top of the user's lists of late, 0 to 1."""
    exploration: recommendation_pb.Exploration | None
    """Places that try something out."""


def new_request_id() -> str:
    """Return an id for a call whose caller named none."""
    return uuid.uuid4().hex
