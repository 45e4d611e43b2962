from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest

from marquee.common.v1 import candidate_pb2
from services.runtime.bundles.candidates import CandidatePipeline, generate_candidates
from services.runtime.bundles.repository import BundleRepository
from services.runtime.data_plane import DataPlane
from services.runtime.errors import FailedPrecondition, InvalidRequest
from tests.support.bundles import ITEM_COUNT, ITEMS, expected_scores, write_bundle


class Asker:
    """Asks the classical part of the tests' bundle."""

    def __init__(self, root: Path) -> None:
        self.bundles = BundleRepository(root, "classical", with_ranker=True)
        self._plane = DataPlane(1)

    async def ask(self, history: Sequence[tuple[str, float]] = (("item-3", 1),), **query: Any) -> Any:
        """Return the candidate set for (item, weight) events."""
        events = [candidate_pb2.HistoryItem(item_id=item, weight=weight) for item, weight in history]
        query = {"bundle_version": "v1", **query}
        return await generate_candidates(
            self._plane, CandidatePipeline(self.bundles), candidate_pb2.CandidateQuery(history=events, **query)
        )

    async def items(self, scorer: str = "near", **query: Any) -> list[str]:
        """Return the items of one scorer."""
        reply = await self.ask(scorers=[scorer], **query)
        return list(reply.scorers[0].item_ids)

    def close(self) -> None:
        self._plane.close()


@pytest.fixture
async def asker(tmp_path: Path) -> AsyncIterator[Asker]:
    write_bundle(tmp_path)
    asker = Asker(tmp_path)
    await asker.bundles.load("default", "v1")
    yield asker
    asker.close()


def bitmap(*rows: int) -> bytes:
    """Bit (row mod 8) of byte (row div 8), least significant first."""
    packed = bytearray((ITEM_COUNT + 7) // 8)
    for row in rows:
        packed[row // 8] |= 1 << (row % 8)
    return bytes(packed)


async def test_the_known_answer(asker: Asker) -> None:
    assert (await asker.items("next", candidates_per_scorer=2)) == ["item-4", "item-5"]
    assert (await asker.items("near", candidates_per_scorer=1)) == ["item-3"]


async def test_scores_are_standardised_and_parallel_to_the_items(asker: Asker) -> None:
    reply = await asker.ask([("item-3", 1), ("item-8", 2)], scorers=["next"], candidates_per_scorer=3)
    raw = expected_scores("next", [(3, 1), (8, 2)])
    best = numpy.argsort(-raw, kind="stable")[:3]
    assert list(reply.scorers[0].item_ids) == [ITEMS[row] for row in best]
    assert list(reply.scorers[0].scores) == pytest.approx(((raw - raw.mean()) / raw.std())[best].tolist(), abs=1e-5)


async def test_the_report_names_scorers_version_and_time(asker: Asker) -> None:
    reply = await asker.ask()
    assert (reply.report.model, reply.report.version) == ("near+next", "v1")
    assert reply.report.compute_microseconds > 0
    assert [found.scorer for found in reply.scorers] == ["near", "next"]


async def test_scorers_answer_in_the_order_asked(asker: Asker) -> None:
    reply = await asker.ask(scorers=["next", "near"])
    assert [found.scorer for found in reply.scorers] == ["next", "near"]


async def test_unknown_history_is_skipped_and_counted(asker: Asker) -> None:
    known = await asker.ask([("item-3", 1)])
    mixed = await asker.ask([("unknown", 5), ("item-3", 1)])
    assert mixed.known_history_count == known.known_history_count == 1
    assert mixed.scorers == known.scorers


async def test_an_item_may_be_in_the_history_twice(asker: Asker) -> None:
    reply = await asker.ask([("item-3", 1), ("item-8", 1), ("item-3", 1)], scorers=["near"])
    assert reply.known_history_count == 3
    assert reply.scorers[0].item_ids[0] == "item-3"


@pytest.mark.parametrize("history", [[], [("unknown", 1.0)], [("item-3", 0.0)]])
async def test_a_history_without_a_signal_gives_no_candidates(
    asker: Asker, history: Sequence[tuple[str, float]]
) -> None:
    reply = await asker.ask(history)
    assert [list(found.item_ids) for found in reply.scorers] == [[], []]
    assert [found.scorer for found in reply.scorers] == ["near", "next"]


async def test_a_dislike_pushes_its_neighbours_down(asker: Asker) -> None:
    assert (await asker.items(history=[("item-0", -1)], candidates_per_scorer=1)) == ["item-11"]


async def test_excluded_items_stay_out_and_unknown_ones_are_ignored(asker: Asker) -> None:
    found = await asker.items(excluded_item_ids=["item-3", "item-2", "unknown", "item-3"])
    assert found[0] == "item-4"
    assert len(found) == ITEM_COUNT - 2
    assert not {"item-3", "item-2"} & set(found)


async def test_the_filters_bits_are_rows_least_significant_first(asker: Asker) -> None:
    assert sorted(await asker.items(allowed_items=bitmap(0, 7, 8, 11))) == ["item-0", "item-11", "item-7", "item-8"]


async def test_an_empty_filter_allows_all_and_a_blank_one_nothing(asker: Asker) -> None:
    assert len(await asker.items(allowed_items=b"")) == ITEM_COUNT
    assert await asker.items(allowed_items=bitmap()) == []


async def test_bits_beyond_the_last_item_are_ignored(asker: Asker) -> None:
    assert await asker.items(allowed_items=b"\x02\xf0") == ["item-1"]


async def test_a_narrow_filter_still_fills_the_page(asker: Asker) -> None:
    far_away = bitmap(9, 10, 11)
    assert len(await asker.items(history=[("item-0", 1)], allowed_items=far_away, candidates_per_scorer=3)) == 3


@pytest.mark.parametrize(("asked", "given"), [(0, ITEM_COUNT), (1, 1), (5, 5), (2**31 - 1, ITEM_COUNT)])
async def test_counts_default_at_zero_and_are_coerced(asker: Asker, asked: int, given: int) -> None:
    assert len(await asker.items(candidates_per_scorer=asked)) == given


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"candidates_per_scorer": -1}, "query.candidates_per_scorer"),
        ({"bundle_version": ""}, "query.bundle_version"),
        ({"bundle_version": "../v1"}, "query.bundle_version"),
        ({"tenant": "UPPER"}, "query.tenant"),
        ({"history": [("item-1", float("nan"))]}, "query.history[0].weight"),
        ({"history": [("item-1", 1.0), ("item-1", 10.5)]}, "query.history[1].weight"),
        ({"history": [("item-1", 1.0)] * 1_001}, "query.history"),
        ({"excluded_item_ids": ["x"] * 10_001}, "query.excluded_item_ids"),
        ({"scorers": ["near", "deep"]}, "query.scorers[1]"),
        ({"scorers": ["near", "near"]}, "query.scorers[1]"),
        ({"scorers": [f"scorer-{number}" for number in range(101)]}, "query.scorers"),
        ({"allowed_items": b"\xff"}, "query.allowed_items"),
        ({"allowed_items": b"\xff" * 3}, "query.allowed_items"),
    ],
)
async def test_bad_queries_name_the_field(asker: Asker, query: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await asker.ask(**query)
    assert [violation.field for violation in refused.value.violations] == [field]


async def test_all_mistakes_are_reported_together(asker: Asker) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await asker.ask(tenant="UPPER", candidates_per_scorer=-1)
    assert len(refused.value.violations) == 2


@pytest.mark.parametrize("query", [{"bundle_version": "v2"}, {"tenant": "acme"}])
async def test_a_bundle_that_is_not_loaded_is_a_failed_precondition(asker: Asker, query: dict[str, Any]) -> None:
    with pytest.raises(FailedPrecondition, match=r"load it with ModelRepositoryService\.LoadBundle") as refused:
        await asker.ask(**query)
    assert refused.value.reason == "BUNDLE_NOT_LOADED"
