from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from services.orchestrator.recommend.options import DEFAULT_DIVERSITY
from services.orchestrator.recommend.ranking import ScoredItem, by_sources
from services.orchestrator.recommend.reranking import place_fresh, pool_size, rerank, rerank_slate
from services.orchestrator.recommend.slates import slate_size
from services.orchestrator.recommend.sources.fresh import FreshItem
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.sources.source import Candidates
from tests.unit.services.orchestrator.builders import vector
from tests.unit.services.orchestrator.recommend.catalogue import mask_without, record, snapshot_of


def ranked(**scores: float) -> list[ScoredItem]:
    return [ScoredItem(item_id, score) for item_id, score in scores.items()]


def new(*item_ids: str) -> list[FreshItem]:
    return [FreshItem(item_id, 0.5, None) for item_id in item_ids]


def ids(items: Sequence[ScoredItem | FreshItem]) -> list[str]:
    return [item.item_id for item in items]


# "sequel" is the same as "film" in words and tags; "other" has nothing of it.
FILMS = snapshot_of(
    record("film", tags=("War",), text_vector=vector(1, 0)),
    record("sequel", tags=("war",), text_vector=vector(1, 0)),
    record("other", tags=("Comedy",), text_vector=vector(0, 1)),
    record("tail", tags=("Comedy", "Crime"), text_vector=vector(0, 1)),
)
RANKED = ranked(film=1.0, sequel=0.9, other=0.8, tail=0.0)


@pytest.mark.parametrize("diversity", [0.0, DEFAULT_DIVERSITY, 0.5])
@pytest.mark.parametrize("page_size", [1, 10, 30])
@pytest.mark.parametrize("novelty", [0.0, 0.4])
def test_candidates_beyond_what_a_list_can_reach_change_nothing(
    diversity: float, page_size: int, novelty: float
) -> None:
    angles = [0.7 * number for number in range(700)]
    items = [
        record(f"f{number:03}", tags=(f"t{number % 9}",), text_vector=vector(math.cos(angle), math.sin(angle)))
        for number, angle in enumerate(angles)
    ]
    snapshot = snapshot_of(*items)
    everything = [ScoredItem(f"f{number:03}", 1 - number / 700) for number in range(700)]
    reached = everything[: slate_size(page_size) + pool_size(page_size)]
    allowed = mask_without(snapshot)
    slates = [
        ids(rerank_slate(candidates, [], snapshot, allowed, diversity, page_size, novelty))
        for candidates in (everything, reached)
    ]
    assert slates[0] == slates[1]
    assert len(slates[0]) == slate_size(page_size)


class TestRerank:
    def test_diversity_of_zero_keeps_the_order(self) -> None:
        assert rerank(RANKED, FILMS, mask_without(FILMS), 0, 10) == RANKED
        assert rerank(RANKED, FILMS, mask_without(FILMS), 0, 2) == RANKED[:2]

    def test_diversity_moves_a_near_duplicate_down(self) -> None:
        assert ids(rerank(RANKED, FILMS, mask_without(FILMS), 0.3, 10)) == ["film", "other", "sequel", "tail"]

    def test_a_little_diversity_leaves_clear_differences_alone(self) -> None:
        far = ranked(film=1.0, sequel=0.9, other=0.2, tail=0.0)
        assert ids(rerank(far, FILMS, mask_without(FILMS), 0.1, 10)) == ids(far)

    def test_full_diversity_still_starts_with_the_best(self) -> None:
        assert ids(rerank(RANKED, FILMS, mask_without(FILMS), 1, 2)) == ["film", "other"]

    def test_tags_alone_are_enough(self) -> None:
        films = (record("film", tags=("War",)), record("sequel", tags=("WAR",)), record("other"), record("tail"))
        snapshot = snapshot_of(*films)
        found = rerank(RANKED, snapshot, mask_without(snapshot), 0.3, 3)
        assert ids(found) == ["film", "other", "sequel"]

    def test_items_without_tags_and_vectors_are_not_alike(self) -> None:
        snapshot = snapshot_of("a", "b", "c")
        assert ids(rerank(ranked(b=3.0, a=2.0, c=1.0), snapshot, mask_without(snapshot), 0.9, 3)) == ["b", "a", "c"]

    def test_equal_scores_keep_their_order(self) -> None:
        snapshot = snapshot_of("a", "b", "c")
        assert ids(rerank(ranked(c=1.0, a=1.0, b=1.0), snapshot, mask_without(snapshot), 0.5, 3)) == ["c", "a", "b"]

    @pytest.mark.parametrize("diversity", [0.0, 0.1])
    def test_novelty_prefers_what_few_know(self, diversity: float) -> None:
        snapshot = snapshot_of("hit", "known", "rare", popularity={"hit": 500.0, "known": 50.0})
        items = ranked(hit=1.0, known=0.9, rare=0.8)
        found = [ids(rerank(items, snapshot, mask_without(snapshot), diversity, 3, novelty)) for novelty in (0, 0.9)]
        assert found == [["hit", "known", "rare"], ["rare", "known", "hit"]]

    @pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
    def test_what_must_not_be_shown_is_not_shown(self, diversity: float) -> None:
        items = [*RANKED[:2], ScoredItem("gone", 0.85), *RANKED[2:]]
        allowed = mask_without(FILMS, "film")
        assert set(ids(rerank(items, FILMS, allowed, diversity, 10))) == {"sequel", "other", "tail"}

    @pytest.mark.parametrize("diversity", [0.0, 0.1, 1.0])
    def test_a_page_is_full_and_without_repeats(self, diversity: float) -> None:
        names = [f"i{number:03}" for number in range(300)]
        snapshot = snapshot_of(*(record(name, tags=(f"t{place % 3}",)) for place, name in enumerate(names)))
        items = [ScoredItem(name, -float(place)) for place, name in enumerate(names)]
        page = rerank(items, snapshot, mask_without(snapshot), diversity, 100)
        assert len(set(ids(page))) == len(page) == 100

    def test_popular_items_behind_them_do_not_drown_the_differences_between_personal_ones(self) -> None:
        popular = [f"p{number}" for number in range(100)]
        snapshot = snapshot_of(record("best", tags=("war",)), record("good", tags=("war",)), "last", *popular)
        fallback = by_sources(
            Candidates({"near": {"best": 4.0, "good": 3.0, "last": 0.0}, POPULARITY: dict.fromkeys(popular, 1.0)})
        )
        page = rerank(fallback, snapshot, mask_without(snapshot), DEFAULT_DIVERSITY, 10)
        assert ids(page)[:3] == ["best", "good", "last"]

    def test_nothing_to_show(self) -> None:
        assert rerank([], FILMS, mask_without(FILMS), 0.5, 10) == []
        assert rerank(RANKED, FILMS, mask_without(FILMS, *FILMS.item_ids), 0.5, 10) == []


class TestPlaceFresh:
    PAGE = ranked(**{f"p{number}": -float(number) for number in range(30)})

    def test_the_fifth_of_every_ten_places(self) -> None:
        page = ids(place_fresh(self.PAGE[:25], new("a", "b", "c", "d"), 25))
        assert [place for place, item_id in enumerate(page) if not item_id.startswith("p")] == [4, 14, 24]
        assert [page[4], page[14], page[24]] == ["a", "b", "c"]
        assert [item_id for item_id in page if item_id.startswith("p")] == ids(self.PAGE[:22])

    @pytest.mark.parametrize("size", [1, 4])
    def test_a_page_of_less_than_five_has_no_place_for_them(self, size: int) -> None:
        assert place_fresh(self.PAGE[:size], new("a"), size) == self.PAGE[:size]

    def test_a_page_of_five_ends_with_one(self) -> None:
        assert ids(place_fresh(self.PAGE[:5], new("a", "b"), 5)) == ["p0", "p1", "p2", "p3", "a"]

    def test_they_fill_a_page_that_is_not_full(self) -> None:
        assert ids(place_fresh(self.PAGE[:2], new("a", "b", "c"), 4)) == ["p0", "p1", "a", "b"]
        assert ids(place_fresh(self.PAGE[:5], new("a", "b", "c"), 20)) == ["p0", "p1", "p2", "p3", "a", "p4", "b", "c"]
        assert ids(place_fresh([], new("a", "b", "c"), 2)) == ["a", "b"]

    def test_no_item_is_shown_twice(self) -> None:
        page = ids(place_fresh(self.PAGE[:10], new("p1", "p9", "a", "p3"), 10))
        assert page == [*ids(self.PAGE[:4]), "a", *ids(self.PAGE[4:9])]

    @pytest.mark.parametrize("size", [0, 1, 5, 10, 100])
    def test_a_page_is_never_too_long(self, size: int) -> None:
        page = place_fresh(self.PAGE[:size], new(*(f"n{number}" for number in range(200))), size)
        assert len(set(ids(page))) == len(page) == size

    def test_nothing_new_changes_nothing(self) -> None:
        assert place_fresh(self.PAGE[:10], [], 10) == self.PAGE[:10]
