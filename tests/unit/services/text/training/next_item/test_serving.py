"""A bundle with the Transformer in it, as the text service loads and asks it; no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from marquee.common.v1 import candidate_pb2
from services.classical.training.bundle import fit_bundle
from services.classical.training.dataset import Interactions
from services.classical.training.extra_sources import ExtraSource
from services.classical.training.options import FitOptions, RankerOptions
from services.runtime.bundles.candidates import CandidatePipeline, generate_candidates
from services.runtime.bundles.repository import BundleRepository
from services.runtime.data_plane import DataPlane
from services.text.training.next_item.scorer import NextItemTransformer
from tests.unit.services.text.training.next_item.walks import ITEM_COUNT, Histories, Walks


async def test_the_text_service_proposes_what_the_reference_scores_highest(
    tmp_path: Path, walks: Walks, unfitted: NextItemTransformer
) -> None:
    events = Interactions(
        tuple(f"item-{row:02}" for row in range(ITEM_COUNT)),
        tuple(f"user-{user:02}" for user in range(walks.user_count)),
        walks.offsets,
        walks.items,
        walks.weights,
        np.arange(len(walks.items), dtype=np.float64),
        np.arange(1, len(walks.items) + 1),
    )
    extra = ExtraSource("transformer", "text", "a network nobody has fitted", {}, lambda *_: unfitted, 1.0)
    options = FitOptions(sources=("markov",), extra=(extra,), ranker=RankerOptions(candidates_per_scorer=5))
    manifest = fit_bundle(events, tmp_path, tenant="default", version="1", options=options)
    assert [(one["name"], one["service"]) for one in manifest["scorers"]] == [
        ("markov", "classical"),
        ("transformer", "text"),
    ]
    bundles = BundleRepository(tmp_path, "text", with_ranker=False)
    await bundles.load("default", "1")
    plane = DataPlane(1)
    rows = [4, 9, 2]
    query = candidate_pb2.CandidateQuery(
        bundle_version="1",
        history=[candidate_pb2.HistoryItem(item_id=events.item_ids[row], weight=1) for row in rows],
        excluded_item_ids=[events.item_ids[row] for row in rows],
        candidates_per_scorer=5,
    )
    reply = await generate_candidates(plane, CandidatePipeline(bundles), query)
    plane.close()
    history = Walks([rows])
    history_scores = unfitted.score(_Plain(history), Histories(np.array([0]), np.array([3])))[0]
    best = [row for row in np.argsort(-history_scores, kind="stable").tolist() if row not in rows][:5]
    assert [found.scorer for found in reply.scorers] == ["transformer"]
    assert list(reply.scorers[0].item_ids) == [events.item_ids[row] for row in best]


class _Plain(Walks):
    """The same history with every event as strong as the query's."""

    def __init__(self, walks: Walks) -> None:
        super().__init__(walks.histories)

    @property
    def weights(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return np.ones(len(self.items), np.float32)
