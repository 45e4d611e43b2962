"""Similar items: what the bundle's scorers propose for a history of that one item; content vectors for items that are
new.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.mesh import FAMILIES, Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.options import SimilarOptions
from services.orchestrator.recommend.ranking import mean_scores
from services.orchestrator.recommend.sources.bundle_scorers import propose
from services.orchestrator.recommend.sources.source import Candidates, SourceInput, merge
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import UserEvent
from services.runtime.errors import NotFound

CONTENT = "content"
_CANDIDATE_SHARE = 0.8
_CANDIDATES = 100


@dataclass(frozen=True)
class SimilarItems:
    """Finds items that are like one item."""

    store: Store
    snapshots: CatalogSnapshots
    mesh: Mesh
    bundles: BundleKeeper
    settings: OrchestratorSettings

    async def similar(self, tenant: str, options: SimilarOptions) -> pb.SimilarItemsResponse:
        """Return the items most like one item, never the item itself.

        Raises:
            NotFound: the item is not in the catalogue.
            ServiceError: the store cannot be read.
        """
        budget = Budget.for_current_call(self.settings.recommend_deadline_seconds)
        steps = StepLog()
        with steps.measure("catalog"):
            state, pointer = await asyncio.gather(self.store.catalog_state(tenant), self.store.bundle_pointer(tenant))
            snapshot = await self.snapshots.get(tenant, state.sequence)
        row = snapshot.rows.get(options.item_id)
        if row is None:
            raise NotFound("item_id", "item", options.item_id, "it is not in the catalogue")
        allowed = options.filter.mask(snapshot)
        allowed[row] = False
        request = SourceInput(
            tenant=tenant,
            history=[UserEvent(options.item_id, 1.0, 0, 0, 0)],
            snapshot=snapshot,
            allowed=allowed,
            bundle=self.bundles.serving(tenant, pointer.version),
            count=max(_CANDIDATES, 2 * options.page_size),
        )
        if pointer.version and request.bundle is None:
            steps.lose(
                "bundle",
                f"no model service has bundle {pointer.version} loaded; likeness is judged by content alone",
            )
        candidates = await self._candidates(request, row, steps, budget)
        scores = mean_scores(candidates.by_source) if candidates.by_source else {}
        best = sorted(scores, key=lambda item_id: -scores[item_id])[: options.page_size]
        return pb.SimilarItemsResponse(
            items=[
                pb.RecommendedItem(
                    item_id=item_id,
                    title=snapshot.titles[snapshot.rows[item_id]],
                    tags=snapshot.tags[snapshot.rows[item_id]],
                    score=scores[item_id],
                    sources=candidates.sources_of(item_id),
                )
                for item_id in best
                if item_id in snapshot.rows
            ],
            degraded=steps.degraded,
            steps=steps.reports,
            bundle_version=request.bundle.version if request.bundle else "",
        )

    async def _candidates(self, request: SourceInput, row: int, steps: StepLog, budget: Budget) -> Candidates:
        parts: list[Candidates] = []
        if request.bundle is not None and request.history[0].item_id in request.bundle.known:
            seconds = budget.step(_CANDIDATE_SHARE, self.settings.candidate_seconds)
            parts = list(
                await asyncio.gather(
                    *(propose(self.mesh, family, request, steps, seconds, "similar") for family in FAMILIES)
                )
            )
        if not any(part.by_source for part in parts):
            with steps.measure("similar/content"):
                parts = [_by_content(request.snapshot, row, request)]
        return merge(parts)


def _by_content(snapshot: CatalogSnapshot, row: int, request: SourceInput) -> Candidates:
    """Score every allowed item by the cosines of its text and picture vectors and by the tags it shares."""
    scores = snapshot.text.values @ snapshot.text.values[row] + snapshot.pictures.values @ snapshot.pictures.values[row]
    for tag in snapshot.tags[row]:
        scores[snapshot.rows_with_tag(tag)] += 1 / (1 + len(snapshot.tags[row]))
    scores = numpy.where(request.allowed, scores, -numpy.inf)
    best = [int(place) for place in numpy.argsort(-scores, kind="stable")[: request.count] if request.allowed[place]]
    return Candidates({CONTENT: {snapshot.item_ids[place]: float(scores[place]) for place in best}} if best else {})
