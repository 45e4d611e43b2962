from __future__ import annotations

import math
from typing import Any

import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.recommend.options import ItemFilter, RecommendOptions, read_recommend, read_similar
from services.runtime.errors import InvalidRequest


def violations(request: pb.RecommendRequest | pb.SimilarItemsRequest) -> dict[str, str]:
    try:
        if isinstance(request, pb.RecommendRequest):
            read_recommend(request)
        else:
            read_similar(request)
    except InvalidRequest as error:
        return {violation.field: violation.description for violation in error.violations}
    return {}


def recommend(**fields: Any) -> RecommendOptions:
    return read_recommend(pb.RecommendRequest(**{"user_id": "ann", **fields}))


def test_only_the_user_is_required() -> None:
    assert recommend() == RecommendOptions(
        user_id="ann",
        page_size=10,
        excluded_item_ids=frozenset(),
        filter=ItemFilter(),
        diversity=0.1,
        include_seen=False,
        reason_count=3,
        require_known_user=False,
    )


@pytest.mark.parametrize("request_class", [pb.RecommendRequest, pb.SimilarItemsRequest])
def test_a_filter_that_cannot_be_used_is_refused_with_its_place(request_class: Any) -> None:
    named = {"user_id": "ann"} if request_class is pb.RecommendRequest else {"item_id": "i"}
    found = violations(request_class(**named, filter="release_year > 1990 &&\n  relase_year < 2000"))
    assert found == {
        "filter": "cannot be used: line 2, column 3: 'relase_year' is unknown; an item has item_id, title, tags, "
        "maturity_age, release_year; did you mean release_year?"
    }


def test_slots_that_contradict_each_other_are_refused() -> None:
    slots = [
        pb.Slot(position=0, item_id="a"),
        pb.Slot(position=0, item_id="b"),
        pb.Slot(position=1, item_id="a"),
        pb.Slot(position=2, item_id="out"),
        pb.Slot(position=100, item_id="c"),
        pb.Slot(position=4),
    ]
    found = violations(pb.RecommendRequest(user_id="ann", slots=slots, excluded_item_ids=["out"]))
    assert found["slots[1].position"] == "0 is taken by item 'a'"
    assert found["slots[2].item_id"] == "'a' has another slot already"
    assert found["slots[3].item_id"] == "'out' is excluded by excluded_item_ids"
    assert set(found) == {
        f"slots[{n}].{f}" for n, f in [(1, "position"), (2, "item_id"), (3, "item_id"), (4, "position"), (5, "item_id")]
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"novelty": math.nan}, "novelty"),
        ({"novelty": 1.5}, "novelty"),
        ({"session_item_ids": ["a", ""]}, "session_item_ids[1]"),
        ({"session_item_ids": ["a"] * 51}, "session_item_ids"),
        ({"slots": [pb.Slot(position=n, item_id=f"i{n}") for n in range(21)]}, "slots"),
    ],
)
def test_novelty_session_and_slots_have_limits(fields: dict[str, Any], field: str) -> None:
    assert list(violations(pb.RecommendRequest(user_id="ann", **fields))) == [field]


def test_everything_asked_for_is_taken_over() -> None:
    options = recommend(
        page_size=7,
        excluded_item_ids=["a", "b", "a"],
        required_tags=["drama"],
        excluded_tags=["war"],
        maximum_maturity_age=12,
        diversity=0.5,
        include_seen=True,
        reason_count=2,
        require_known_user=True,
    )
    assert options == RecommendOptions(
        user_id="ann",
        page_size=7,
        excluded_item_ids=frozenset({"a", "b"}),
        filter=ItemFilter(("drama",), ("war",), 12),
        diversity=0.5,
        include_seen=True,
        reason_count=2,
        require_known_user=True,
    )


@pytest.mark.parametrize(("asked", "given"), [(0, 10), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)])
def test_page_size_has_a_default_and_a_limit(asked: int, given: int) -> None:
    assert recommend(page_size=asked).page_size == given
    assert read_similar(pb.SimilarItemsRequest(item_id="a", page_size=asked)).page_size == given


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (1, 1), (10, 10), (11, 10), (2**31 - 1, 10)])
def test_zero_reasons_means_none(asked: int, given: int) -> None:
    assert recommend(reason_count=asked).reason_count == given


@pytest.mark.parametrize("asked", [0.0, 1.0])
def test_diversity_of_zero_is_not_the_default(asked: float) -> None:
    assert recommend(diversity=asked).diversity == asked


@pytest.mark.parametrize("age", [0, 21])
def test_an_age_of_zero_is_a_limit(age: int) -> None:
    assert recommend(maximum_maturity_age=age).filter.maximum_maturity_age == age


@pytest.mark.parametrize(
    ("fields", "field", "limit"),
    [
        ({"user_id": ""}, "user_id", "required"),
        ({"user_id": "u" * 129}, "user_id", "128"),
        ({"user_id": "a\nb"}, "user_id", "control character"),
        ({"page_size": -1}, "page_size", "100"),
        ({"excluded_item_ids": ["x"] * 1001}, "excluded_item_ids", "1,000"),
        ({"required_tags": ["x"] * 51}, "required_tags", "50"),
        ({"required_tags": ["fine", "x" * 65]}, "required_tags[1]", "64"),
        ({"required_tags": [" "]}, "required_tags[0]", "white space"),
        ({"excluded_tags": ["x"] * 51}, "excluded_tags", "50"),
        ({"excluded_tags": [""]}, "excluded_tags[0]", "empty"),
        ({"maximum_maturity_age": -1}, "maximum_maturity_age", "0 to 21"),
        ({"maximum_maturity_age": 22}, "maximum_maturity_age", "0 to 21"),
        ({"diversity": -0.01}, "diversity", "0 to 1"),
        ({"diversity": 1.01}, "diversity", "0 to 1"),
        ({"diversity": math.nan}, "diversity", "0 to 1"),
        ({"diversity": math.inf}, "diversity", "0 to 1"),
        ({"reason_count": -1}, "reason_count", "10"),
    ],
)
def test_a_bad_field_is_named_with_its_limit(fields: dict[str, Any], field: str, limit: str) -> None:
    found = violations(pb.RecommendRequest(**{"user_id": "ann", **fields}))
    assert list(found) == [field]
    assert limit in found[field]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"item_id": ""}, "item_id"),
        ({"item_id": "i" * 129}, "item_id"),
        ({"page_size": -1}, "page_size"),
        ({"required_tags": ["x"] * 51}, "required_tags"),
        ({"excluded_tags": ["x" * 65]}, "excluded_tags[0]"),
        ({"maximum_maturity_age": 22}, "maximum_maturity_age"),
    ],
)
def test_a_bad_field_of_a_call_for_similar_items_is_named(fields: dict[str, Any], field: str) -> None:
    assert list(violations(pb.SimilarItemsRequest(**{"item_id": "a", **fields}))) == [field]


def test_the_largest_lists_pass() -> None:
    many = [f"{number}" for number in range(1000)]
    options = recommend(excluded_item_ids=many, required_tags=["x" * 64] * 50, excluded_tags=["y"] * 50)
    assert options.excluded_item_ids == frozenset(many)


def test_all_bad_fields_are_named_at_once() -> None:
    found = violations(pb.RecommendRequest(page_size=-1, diversity=2, reason_count=-1, excluded_tags=[""]))
    assert set(found) == {"user_id", "page_size", "diversity", "reason_count", "excluded_tags[0]"}
