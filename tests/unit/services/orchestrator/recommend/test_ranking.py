from __future__ import annotations

from collections.abc import Sequence

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK, STEP_OUTCOME_SKIPPED
from services.orchestrator.recommend.ranking import by_sources, mean_scores, rank
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.sources.source import NO_CANDIDATES, Candidates, merge
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.store.records import UserEvent
from tests.support.bundles import ITEMS
from tests.unit.services.orchestrator.recommend.catalogue import bundle_of, events, snapshot_of, source_input
from tests.unit.services.orchestrator.recommend.model_services import ModelServices

SNAPSHOT = snapshot_of(*ITEMS)
CANDIDATES = Candidates(
    {"near": {"item-9": 2.0, "item-2": 1.0}, POPULARITY: {"item-0": 3.0, "item-2": 2.0, "new": 1.0}}
)
PATIENCE = 10.0


class TestCandidates:
    def test_every_item_once_best_of_each_source_first(self) -> None:
        assert CANDIDATES.item_ids() == ["item-9", "item-2", "item-0", "new"]

    def test_sources_of_an_item(self) -> None:
        assert CANDIDATES.sources_of("item-2") == ["near", POPULARITY]
        assert CANDIDATES.sources_of("nowhere") == []

    def test_merging_keeps_every_source(self) -> None:
        merged = merge([Candidates({"a": {"x": 1.0}}), NO_CANDIDATES, Candidates({"b": {"y": 1.0}, "c": {}})])
        assert merged.by_source == {"a": {"x": 1.0}, "b": {"y": 1.0}, "c": {}}


class TestMeanScores:
    def test_what_a_source_did_not_propose_gets_its_lowest_score(self) -> None:
        scores = mean_scores({"one": {"x": 3.0, "y": 1.0}, "two": {"y": 5.0, "z": -1.0}})
        assert scores == {"x": (3.0 - 1.0) / 2, "y": (1.0 + 5.0) / 2, "z": (1.0 - 1.0) / 2}

    def test_a_source_without_items_has_no_say(self) -> None:
        assert mean_scores({"one": {"x": 3.0}, "two": {}}) == {"x": 3.0}

    def test_no_items(self) -> None:
        assert mean_scores({"one": {}}) == {}
        assert mean_scores({}) == {}


class TestBySources:
    def test_personal_items_by_mean_score_then_popular_ones(self) -> None:
        ranked = by_sources(
            Candidates(
                {
                    "near": {"x": 1.0, "y": 0.5},
                    "next": {"y": 2.0, "x": 1.0},
                    POPULARITY: {"p": 9.0, "x": 8.0, "q": 7.0},
                }
            )
        )
        assert [item.item_id for item in ranked] == ["y", "x", "p", "q"]
        scores = [item.score for item in ranked]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) == 4
        assert {item.evidence for item in ranked} == {None}

    def test_without_personal_items_it_is_what_is_popular(self) -> None:
        ranked = by_sources(Candidates({POPULARITY: {"p": 9.0, "q": 7.0}}))
        assert [(item.item_id, item.score) for item in ranked] == [("p", 9.0), ("q", 7.0)]

    def test_nothing_to_rank(self) -> None:
        assert by_sources(NO_CANDIDATES) == []
        assert by_sources(Candidates({POPULARITY: {}})) == []


class TestRank:
    async def test_the_bundles_ranker_decides_and_says_why(self, services: ModelServices) -> None:
        await services.start("classical")
        await services.load("v1")
        steps = StepLog()
        request = source_input(SNAPSHOT, events("item-1", "item-8"), bundle_of())
        ranked = await rank(services.mesh, request, CANDIDATES, 3, 50, steps, PATIENCE)
        # item-9 follows the newest event, item-2 the older one; the ranker does not know the new item.
        assert [item.item_id for item in ranked] == ["item-9", "item-2", "item-0"]
        for item in ranked:
            assert item.evidence is not None
            assert item.evidence.item_id == item.item_id
            assert item.score == item.evidence.linear_score
        assert ranked[0].evidence is not None
        assert ranked[0].evidence.history[0].item_id == "item-8"
        [report] = steps.reports
        assert (report.step, report.service, report.outcome) == ("rank", "classical", STEP_OUTCOME_OK)
        assert (report.model, report.version) == ("ranker linear", "v1")

    async def test_a_ranker_that_knows_none_of_them_leaves_the_order(self, services: ModelServices) -> None:
        await services.start("classical")
        await services.load("v1")
        steps = StepLog()
        request = source_input(SNAPSHOT, events("item-1"), bundle_of())
        strangers = Candidates({POPULARITY: {"new-b": 3.0, "new-a": 2.0}})
        ranked = await rank(services.mesh, request, strangers, 3, 50, steps, PATIENCE)
        assert [item.item_id for item in ranked] == ["new-b", "new-a"]
        assert "knows none of the candidates" in steps.reports[0].detail
        assert not steps.degraded

    @pytest.mark.parametrize("running", [False, True])
    async def test_without_the_ranker_the_sources_decide(self, services: ModelServices, running: bool) -> None:
        if running:  # but without the bundle
            await services.start("classical")
        steps = StepLog()
        request = source_input(SNAPSHOT, events("item-1"), bundle_of())
        ranked = await rank(services.mesh, request, CANDIDATES, 3, 50, steps, PATIENCE)
        assert ranked == by_sources(CANDIDATES)
        assert steps.reports[0].outcome == STEP_OUTCOME_FALLBACK
        assert steps.reports[0].detail.endswith(
            "; candidates are ordered by the mean of their sources' scores, then by popularity"
        )

    @pytest.mark.parametrize(
        ("bundle", "history", "candidates", "why"),
        [
            (None, events("item-1"), CANDIDATES, "no bundle is loaded"),
            (bundle_of(), [], CANDIDATES, "the user has no history"),
            (bundle_of(), events("item-1"), NO_CANDIDATES, "no candidates"),
        ],
    )
    async def test_nobody_is_asked_when_there_is_nothing_to_rank(
        self,
        services: ModelServices,
        bundle: ServingBundle | None,
        history: Sequence[UserEvent],
        candidates: Candidates,
        why: str,
    ) -> None:
        steps = StepLog()
        ranked = await rank(services.mesh, source_input(SNAPSHOT, history, bundle), candidates, 3, 50, steps, PATIENCE)
        assert ranked == by_sources(candidates)
        assert (steps.reports[0].outcome, steps.reports[0].detail) == (STEP_OUTCOME_SKIPPED, why)

    async def test_more_candidates_than_the_ranker_takes(self, services: ModelServices) -> None:
        await services.start("classical")
        await services.load("v1")
        many = Candidates({"near": {"item-2": 9.0, **{f"x{number}": 1.0 for number in range(2_500)}}})
        steps = StepLog()
        request = source_input(SNAPSHOT, events("item-1"), bundle_of())
        ranked = await rank(services.mesh, request, many, 0, 50, steps, PATIENCE)
        assert [item.item_id for item in ranked] == ["item-2"]
        assert not steps.degraded
