"""The ranking pipeline without a server: prepare, run, finish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.common.v1 import candidate_pb2
from services.classical.pipelines.ranking import RankingPipeline
from services.runtime.bundles.repository import BundleRepository
from services.runtime.errors import FailedPrecondition
from tests.support.bundles import FEATURES, ITEMS, write_bundle


@pytest.fixture
async def bundles(tmp_path: Path) -> BundleRepository:
    write_bundle(tmp_path, "v1")
    repository = BundleRepository(tmp_path, "classical", with_ranker=True)
    await repository.load("default", "v1")
    return repository


@pytest.fixture
def pipeline(bundles: BundleRepository) -> RankingPipeline:
    return RankingPipeline(bundles)


def request(*item_ids: str, history: tuple[str, ...] = ("item-1", "item-8")) -> pb.RankCandidatesRequest:
    return pb.RankCandidatesRequest(
        bundle_version="v1",
        history=[candidate_pb2.HistoryItem(item_id=item_id, weight=1) for item_id in history],
        item_ids=item_ids or ITEMS,
    )


def test_the_batch_knows_only_what_the_bundle_knows(pipeline: RankingPipeline) -> None:
    prepared = pipeline.prepare(request("item-5", "stranger", "item-2", history=("stranger", "item-3")))
    [batch] = prepared.batches
    assert batch.rows.tolist() == [5, 2]
    assert batch.history.rows.tolist() == [3]
    assert prepared.cost == 2


def test_shapes(pipeline: RankingPipeline) -> None:
    [batch] = pipeline.prepare(request("item-5", "item-2", "item-9")).batches
    ranking = pipeline.run(batch)
    assert ranking.probabilities.shape == ranking.linear_scores.shape == (3,)
    assert ranking.feature_contributions.shape == (3, len(FEATURES))
    assert ranking.history_totals.shape == (3,)
    assert ranking.history_rows.shape == ranking.history_contributions.shape == (3, 2)
    assert (numpy.diff(ranking.linear_scores) <= 0).all(), "best first"


def test_no_candidate_is_known(pipeline: RankingPipeline) -> None:
    prepared = pipeline.prepare(request("stranger"))
    assert pipeline.finish(prepared, [pipeline.run(prepared.batches[0])]).candidates == []


def test_equal_scores_stay_in_the_order_asked(pipeline: RankingPipeline) -> None:
    [batch] = pipeline.prepare(request("item-5", "item-2", "item-9", history=())).batches
    level = replace(batch, bundle=replace(batch.bundle, popularity=numpy.ones_like(batch.bundle.popularity)))
    ranking = pipeline.run(level)
    assert (numpy.diff(ranking.linear_scores) == 0).all(), "without a history only popularity tells them apart"
    assert ranking.rows.tolist() == [5, 2, 9]


def test_a_request_that_began_before_an_unload_is_finished(
    pipeline: RankingPipeline, bundles: BundleRepository
) -> None:
    prepared = pipeline.prepare(request())
    bundles.unload("default", "v1")
    assert len(pipeline.finish(prepared, [pipeline.run(prepared.batches[0])]).candidates) == len(ITEMS)
    with pytest.raises(FailedPrecondition):
        pipeline.prepare(request())
