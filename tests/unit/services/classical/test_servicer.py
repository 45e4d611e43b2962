"""ClassicalService over gRPC: candidates and ranks of the tiny bundle, whose right answers are known."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy
import pytest

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceStub
from marquee.common.v1 import candidate_pb2
from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.common.v1.model_repository_pb2_grpc import ModelRepositoryServiceStub
from services.classical.main import build
from services.classical.settings import ClassicalSettings
from tests.support.bundles import FEATURES, ITEMS, RANKER_INTERCEPT, edit_bundle, expected_scores, write_bundle
from tests.support.clients import health, outcome_of
from tests.support.servers import RunningServer, running

if TYPE_CHECKING:
    from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceAsyncStub


@pytest.fixture
async def server(tmp_path: Path, models: Path) -> AsyncIterator[RunningServer]:
    """The service without any model; v1 is loaded, rankless has no ranker, unloaded is only in the folder."""
    root = tmp_path / "bundles"
    for version in ("v1", "rankless", "unloaded"):
        write_bundle(root, version)
    edit_bundle(root / "default" / "rankless", lambda document: document.pop("ranker"))
    settings = ClassicalSettings(port=0, model_repository=models, bundle_repository=root, engines=1, drain_seconds=0)
    async with running(build(settings), settings) as started:
        repository = ModelRepositoryServiceStub(started.channel)
        for version in ("v1", "rankless"):
            await repository.LoadBundle(repository_pb.LoadBundleRequest(version=version))
        yield started


@pytest.fixture
def classical(server: RunningServer) -> ClassicalServiceAsyncStub:
    """The caller's view of the service."""
    stub: ClassicalServiceAsyncStub = ClassicalServiceStub(server.channel)
    return stub


def history(*events: tuple[str, float]) -> list[candidate_pb2.HistoryItem]:
    return [candidate_pb2.HistoryItem(item_id=item_id, weight=weight) for item_id, weight in events]


LIKED = history(("item-1", 1.0), ("item-8", 1.0), ("stranger", 1.0))


def request(**fields: Any) -> pb.RankCandidatesRequest:
    defaults = {"bundle_version": "v1", "history": LIKED, "item_ids": ITEMS}
    return pb.RankCandidatesRequest(**(defaults | fields))


async def rank(classical: ClassicalServiceAsyncStub, **fields: Any) -> list[pb.RankedCandidate]:
    return list((await classical.RankCandidates(request(**fields))).candidates)


async def test_it_serves_without_any_model(server: RunningServer) -> None:
    assert await health(server.channel, "marquee.classical.v1.ClassicalService") == "SERVING"


class TestRankCandidates:
    async def test_best_first(self, classical: ClassicalServiceAsyncStub) -> None:
        unseen = set(ITEMS) - {"item-1", "item-8"}
        answer = await classical.RankCandidates(request(item_ids=sorted(unseen)))
        assert {found.item_id for found in answer.candidates} == unseen
        scores = [found.linear_score for found in answer.candidates]
        assert scores == sorted(scores, reverse=True)
        assert answer.candidates[0].item_id == "item-9"
        assert (answer.report.model, answer.report.version) == ("ranker linear", "v1")
        assert answer.report.compute_microseconds > 0

    async def test_fewer_results_are_the_best_ones(self, classical: ClassicalServiceAsyncStub) -> None:
        everything = await rank(classical, item_ids=list(ITEMS))
        few = await rank(classical, item_ids=list(ITEMS), result_count=3, explained_count=5)
        assert few == everything[:3]
        assert all(found.features for found in few)
        ended = await outcome_of(classical.RankCandidates(request(result_count=-1)))
        assert list(ended.violations) == ["result_count"]

    async def test_contributions_add_up_to_the_linear_score(self, classical: ClassicalServiceAsyncStub) -> None:
        for found in await rank(classical):
            assert [term.feature for term in found.features] == list(FEATURES)
            total = sum(term.contribution for term in found.features)
            assert found.linear_score == pytest.approx(total, abs=1e-4)
            assert found.score == pytest.approx(1 / (1 + math.exp(-total - RANKER_INTERCEPT)), abs=1e-5)

    async def test_what_the_history_adds_is_exact(self, classical: ClassicalServiceAsyncStub) -> None:
        events = [(1, 1.0), (8, 1.0)]
        raw = {name: expected_scores(name, events) for name in ("near", "next")}
        weights = {"near": 0.8, "next": 0.5}
        for found in await rank(classical, contribution_count=10):
            row = ITEMS.index(found.item_id)
            wanted = sum(weights[name] * raw[name][row] / raw[name].std() for name in raw)
            assert found.positive_history_total == pytest.approx(wanted, abs=1e-4)
            assert sum(term.contribution for term in found.history) == pytest.approx(wanted, abs=1e-4)

    async def test_history_is_sorted_and_positive(self, classical: ClassicalServiceAsyncStub) -> None:
        events = history(("item-1", 1.0), ("item-4", -1.0), ("item-8", 1.0), ("item-5", 0.5))
        for found in await rank(classical, history=events, contribution_count=10):
            values = [term.contribution for term in found.history]
            assert values == sorted(values, reverse=True)
            assert min(values) > 0
            assert {term.item_id for term in found.history} == {"item-1", "item-8", "item-5"}

    async def test_events_of_one_item_speak_with_one_voice(self, classical: ClassicalServiceAsyncStub) -> None:
        twice = history(("item-8", 1.0), ("item-1", 1.0), ("item-8", 1.0))
        [found] = await rank(classical, history=twice, item_ids=["item-9"])
        assert [term.item_id for term in found.history] == ["item-8", "item-1"]
        # A dislike takes back what a like of the same item gave.
        taken_back = history(("item-8", 1.0), ("item-8", -1.0))
        [found] = await rank(classical, history=taken_back, item_ids=["item-9"])
        assert list(found.history) == []
        assert found.positive_history_total == 0

    @pytest.mark.parametrize(("asked", "named"), [(0, 3), (1, 1), (10, 10), (11, 10), (2**31 - 1, 10)])
    async def test_as_many_history_items_as_asked(
        self, classical: ClassicalServiceAsyncStub, asked: int, named: int
    ) -> None:
        everything = history(*((item_id, 1.0) for item_id in ITEMS))
        for found in await rank(classical, history=everything, contribution_count=asked):
            assert len(found.history) == named
            assert found.positive_history_total >= sum(term.contribution for term in found.history) - 1e-4

    async def test_unknown_items_are_left_out(self, classical: ClassicalServiceAsyncStub) -> None:
        found = await rank(classical, item_ids=["stranger", "item-3", "other stranger"])
        assert [entry.item_id for entry in found] == ["item-3"]
        assert await rank(classical, item_ids=["stranger"]) == []

    @pytest.mark.parametrize("events", [[], history(("stranger", 1.0))])
    async def test_without_a_known_history_popularity_decides(
        self, classical: ClassicalServiceAsyncStub, events: list[candidate_pb2.HistoryItem]
    ) -> None:
        found = await rank(classical, history=events)
        assert [entry.item_id for entry in found] == list(ITEMS)
        assert all(not entry.history and entry.positive_history_total == 0 for entry in found)

    async def test_the_largest_request(self, classical: ClassicalServiceAsyncStub) -> None:
        many = [*ITEMS, *(f"x{number}" for number in range(2_000 - len(ITEMS)))]
        long = history(*((ITEMS[number % 12], 10.0) for number in range(1_000)))
        found = await rank(classical, item_ids=many, history=long)
        assert len(found) == len(ITEMS)
        assert numpy.isfinite([entry.linear_score for entry in found]).all()

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"tenant": "Ann's"}, "tenant"),
            ({"bundle_version": ""}, "bundle_version"),
            ({"bundle_version": "../v1"}, "bundle_version"),
            ({"item_ids": []}, "item_ids"),
            ({"item_ids": [f"{number}" for number in range(2_001)]}, "item_ids"),
            ({"item_ids": ["a", "b", "a"]}, "item_ids[2]"),
            ({"history": history(*[("item-1", 1.0)] * 1_001)}, "history"),
            ({"history": history(("item-1", 1.0), ("item-1", 10.1))}, "history[1].weight"),
            ({"history": history(("item-1", -10.1))}, "history[0].weight"),
            ({"history": history(("item-1", math.nan))}, "history[0].weight"),
            ({"contribution_count": -1}, "contribution_count"),
        ],
    )
    async def test_a_bad_field_is_named(
        self, classical: ClassicalServiceAsyncStub, fields: dict[str, Any], field: str
    ) -> None:
        ended = await outcome_of(classical.RankCandidates(request(**fields)))
        assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(ended.violations) == [field]

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"bundle_version": "unloaded"}, "BUNDLE_NOT_LOADED"),
            ({"bundle_version": "v1", "tenant": "studio"}, "BUNDLE_NOT_LOADED"),
            ({"bundle_version": "rankless"}, "BUNDLE_WITHOUT_RANKER"),
        ],
    )
    async def test_a_bundle_that_cannot_rank(
        self, classical: ClassicalServiceAsyncStub, fields: dict[str, Any], reason: str
    ) -> None:
        ended = await outcome_of(classical.RankCandidates(request(**fields)))
        assert (ended.code, ended.reason) == (grpc.StatusCode.FAILED_PRECONDITION, reason)
        assert fields["bundle_version"] in ended.message


class TestGenerateCandidates:
    async def test_the_services_own_scorers_answer(self, classical: ClassicalServiceAsyncStub) -> None:
        query = candidate_pb2.CandidateQuery(
            bundle_version="v1", history=LIKED, excluded_item_ids=["item-8", "item-1"], candidates_per_scorer=2
        )
        found = (await classical.GenerateCandidates(pb.GenerateCandidatesRequest(query=query))).candidates
        assert [scorer.scorer for scorer in found.scorers] == ["near", "next"]
        assert list(found.scorers[1].item_ids) == ["item-9", "item-2"]
        assert found.known_history_count == 2
        assert (found.report.model, found.report.version) == ("near+next", "v1")

    @pytest.mark.parametrize("version", ["unloaded", "v9"])
    async def test_a_bundle_that_is_not_loaded(self, classical: ClassicalServiceAsyncStub, version: str) -> None:
        query = candidate_pb2.CandidateQuery(bundle_version=version, history=LIKED)
        ended = await outcome_of(classical.GenerateCandidates(pb.GenerateCandidatesRequest(query=query)))
        assert (ended.code, ended.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_NOT_LOADED")

    async def test_a_scorer_of_another_service(self, classical: ClassicalServiceAsyncStub) -> None:
        query = candidate_pb2.CandidateQuery(bundle_version="v1", history=LIKED, scorers=["near", "words"])
        ended = await outcome_of(classical.GenerateCandidates(pb.GenerateCandidatesRequest(query=query)))
        assert ended.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(ended.violations) == ["query.scorers[1]"]
