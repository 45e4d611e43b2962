"""Category caps and places drawn by chance."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.recommend.placing import Placed, place, softmax
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.steering import ExplorationOptions

ORDER = [ScoredItem(f"i{number:02}", 10.0 - number) for number in range(12)]
TAGS = {item.item_id: ("Odd",) if number % 2 else ("Even", "All") for number, item in enumerate(ORDER)}


def placed(
    caps: dict[str, int] | None = None, exploration: ExplorationOptions | None = None, seed: int = 1, page_size: int = 4
) -> list[Placed]:
    return place(
        ORDER,
        page_size=page_size,
        caps=caps or {},
        exploration=exploration,
        tags_of=TAGS.__getitem__,
        random=numpy.random.default_rng(seed),
    )


def ids(found: list[Placed]) -> list[str]:
    return [one.item.item_id for one in found]


def test_without_wishes_the_order_stays() -> None:
    assert ids(placed()) == [item.item_id for item in ORDER]
    assert {one.propensity for one in placed()} == {1.0}


def test_each_page_keeps_its_caps() -> None:
    found = ids(placed({"odd": 1}))
    pages = [found[start : start + 4] for start in range(0, len(found), 4)]
    assert pages[0] == ["i00", "i01", "i02", "i04"]
    assert all(sum(TAGS[item_id] == ("Odd",) for item_id in page) <= 1 for page in pages)
    assert len(found) == len(set(found))


def test_a_cap_of_zero_leaves_the_tag_out() -> None:
    assert not [item_id for item_id in ids(placed({"odd": 0})) if TAGS[item_id] == ("Odd",)]


def test_when_nothing_fits_the_list_ends() -> None:
    assert ids(placed({"all": 1, "odd": 1})) == ["i00", "i01"]


@given(seed=st.integers(0, 10_000), temperature=st.floats(0.05, 10))
def test_drawn_places_keep_the_others_in_order_and_repeat_nothing(seed: int, temperature: float) -> None:
    found = placed(exploration=ExplorationOptions((1, 3), temperature), seed=seed)
    assert sorted(ids(found)) == [item.item_id for item in ORDER]
    certain = [one.item.item_id for number, one in enumerate(found) if number not in {1, 3}]
    assert certain == sorted(certain)
    assert all(0 < one.propensity <= 1 for one in found)
    assert {one.propensity for number, one in enumerate(found) if number not in {1, 3}} == {1.0}


def test_the_same_seed_gives_the_same_list() -> None:
    exploration = ExplorationOptions((0, 2), 1.0)
    assert placed(exploration=exploration, seed=7) == placed(exploration=exploration, seed=7)
    lists = {tuple(ids(placed(exploration=exploration, seed=seed))) for seed in range(30)}
    assert len(lists) > 10


def test_items_come_as_often_as_their_propensity_says() -> None:
    exploration = ExplorationOptions((0,), 1.0)
    runs = [placed(exploration=exploration, seed=seed)[0] for seed in range(4_000)]
    counts = Counter(one.item.item_id for one in runs)
    stated = {one.item.item_id: one.propensity for one in runs}
    for item_id, probability in stated.items():
        error = 4 * (probability * (1 - probability) / len(runs)) ** 0.5
        assert counts[item_id] / len(runs) == pytest.approx(probability, abs=error)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0.01, 10))
def test_probabilities_add_up_and_follow_the_scores(scores: list[float], temperature: float) -> None:
    found = softmax(numpy.array(scores), temperature)
    assert found.sum() == pytest.approx(1)
    assert (numpy.diff(found[numpy.argsort(scores)]) >= -1e-12).all()
