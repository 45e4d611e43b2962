from __future__ import annotations

import pytest

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.recommend.explanation import explain
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.sources.fresh import FreshItem
from services.orchestrator.recommend.sources.popularity import POPULARITY
from tests.unit.services.orchestrator.recommend.catalogue import snapshot_of

SNAPSHOT = snapshot_of("heat", "alien", "ran")
POPULAR = "Popular with everyone"


def ranked(
    history: dict[str, float], features: dict[str, float] | None = None, total: float | None = None
) -> ScoredItem:
    """Return what the ranker said; `total` is the whole positive history where more events spoke than are named."""
    evidence = classical_pb.RankedCandidate(
        item_id="x",
        history=[
            classical_pb.HistoryContribution(item_id=item_id, contribution=value) for item_id, value in history.items()
        ],
        features=[
            classical_pb.FeatureContribution(feature=name, contribution=value)
            for name, value in (features or {}).items()
        ],
        positive_history_total=sum(history.values()) if total is None else total,
    )
    return ScoredItem("x", 1.0, evidence)


def reasons(item: ScoredItem | FreshItem, sources: list[str] | None = None, count: int = 10) -> list[pb.Reason]:
    return explain(item, sources or ["near"], SNAPSHOT, count)


def texts(found: list[pb.Reason]) -> list[str]:
    return [reason.text for reason in found]


def test_reasons_are_shares_of_what_speaks_for_the_item() -> None:
    found = reasons(ranked({"heat": 3.0, "alien": 1.0}, {"near": 9.0, "popularity": 1.0}))
    assert texts(found) == ["Because of Title heat", "Because of Title alien", POPULAR]
    assert [reason.share for reason in found] == pytest.approx([0.6, 0.2, 0.2])
    assert [reason.kind for reason in found] == [
        pb.REASON_KIND_HISTORY_ITEM,
        pb.REASON_KIND_HISTORY_ITEM,
        pb.REASON_KIND_POPULARITY,
    ]
    assert (found[0].item_id, found[0].title) == ("heat", "Title heat")
    assert (found[2].item_id, found[2].title) == ("", "")


def test_events_that_are_not_named_count_into_the_whole() -> None:
    assert [reason.share for reason in reasons(ranked({"heat": 1.0}, total=4.0))] == [0.25]


def test_the_strongest_reason_comes_first_whatever_its_kind() -> None:
    found = reasons(ranked({"heat": 1.0}, {"popularity": 2.0, "popularity_for_newcomers": 1.0}))
    assert texts(found) == [POPULAR, "Because of Title heat"]
    assert [reason.share for reason in found] == pytest.approx([0.75, 0.25])


def test_what_speaks_against_the_item_is_no_reason() -> None:
    found = reasons(ranked({"heat": 1.0}, {"popularity": -5.0, "popularity_for_newcomers": 1.0}))
    assert [reason.share for reason in found] == pytest.approx([0.5, 0.5])


def test_what_decided_nothing_is_not_named() -> None:
    found = reasons(ranked({"heat": 97.2, "alien": 2.8}))
    assert texts(found) == ["Because of Title heat"]


def test_many_small_reasons_still_give_one() -> None:
    found = reasons(ranked({"heat": 1.0, "alien": 1.0}, total=100.0))
    assert texts(found) == ["Because of Title heat"]
    assert found[0].share == pytest.approx(0.01)


def test_without_anything_positive_it_is_popularity() -> None:
    [reason] = reasons(ranked({}, {"popularity": -1.0}))
    assert (reason.text, reason.share) == (POPULAR, 1.0)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_no_more_reasons_than_asked(count: int) -> None:
    everything = ["Because of Title heat", "Because of Title alien", POPULAR]
    item = ranked({"heat": 3.0, "alien": 2.0}, {"popularity": 1.0})
    assert texts(reasons(item, count=count)) == everything[:count]
    assert texts(reasons(FreshItem("x", 1.0, None), count=count)) == ["New in the catalogue"][:count]
    assert texts(reasons(ScoredItem("x", 1.0), [POPULARITY], count)) == [POPULAR][:count]


def test_an_item_that_left_the_catalogue_is_named_by_its_id() -> None:
    [reason] = reasons(ranked({"gone": 1.0}))
    assert (reason.item_id, reason.title, reason.text) == ("gone", "gone", "Because of gone")


def test_a_new_item_is_explained_by_what_it_resembles() -> None:
    alike, fresh = reasons(FreshItem("x", 0.9, "ran"))
    assert (alike.kind, alike.item_id, alike.title) == (pb.REASON_KIND_CONTENT, "ran", "Title ran")
    assert alike.text == "New, and it resembles Title ran"
    assert (fresh.kind, fresh.text) == (pb.REASON_KIND_FRESH, "New in the catalogue")


def test_without_the_ranker_the_sources_are_the_reason() -> None:
    [popular] = reasons(ScoredItem("x", 1.0), [POPULARITY])
    assert (popular.kind, popular.text) == (pb.REASON_KIND_POPULARITY, POPULAR)
    for sources in (["near"], ["near", POPULARITY]):
        [close] = reasons(ScoredItem("x", 1.0), sources)
        assert (close.kind, close.text, close.item_id) == (
            pb.REASON_KIND_CONTENT,
            "Close to what you had before",
            "",
        )
        assert close.share == 1.0
