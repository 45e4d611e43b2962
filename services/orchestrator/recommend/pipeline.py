"""The recommendation pipeline: history → candidate sources side by side → ranker → re-ranking → explanation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.explanation import explain
from services.orchestrator.recommend.options import RecommendOptions
from services.orchestrator.recommend.ranking import ScoredItem, rank
from services.orchestrator.recommend.reranking import place_fresh, pool_size, rerank
from services.orchestrator.recommend.sources.collaborative import collaborative
from services.orchestrator.recommend.sources.fresh import FRESH, FreshItem, fresh
from services.orchestrator.recommend.sources.picture_content import picture_content
from services.orchestrator.recommend.sources.popularity import popularity
from services.orchestrator.recommend.sources.source import Candidates, SourceInput, merge
from services.orchestrator.recommend.sources.text_content import text_content
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import RecommendationState
from services.runtime.errors import NotFound

CANDIDATES_PER_SOURCE = 100
_CANDIDATE_SHARE = 0.5
_RANKING_SHARE = 0.8


@dataclass(frozen=True)
class Recommender:
    """Makes personalised lists from the store, the catalogue and the model services."""

    store: Store
    snapshots: CatalogSnapshots
    mesh: Mesh
    bundles: BundleKeeper
    settings: OrchestratorSettings

    async def recommend(self, tenant: str, options: RecommendOptions) -> pb.RecommendResponse:
        """Return a list for a user.

        Raises:
            NotFound: the user has no events and `require_known_user` is set.
            ServiceError: the store cannot be read.
        """
        budget = Budget.for_current_call(self.settings.recommend_deadline_seconds)
        steps = StepLog()
        with steps.measure("history"):
            state = await self.store.recommendation_state(tenant, options.user_id, self.settings.history_limit)
        if options.require_known_user and state.event_count == 0:
            raise NotFound("user_id", "user", options.user_id, "no event of this user is stored")
        with steps.measure("filter"):
            snapshot = await self.snapshots.get(tenant, state.catalog_sequence)
            allowed = _allowed(snapshot, state, options)
        request = SourceInput(
            tenant=tenant,
            history=state.history,
            snapshot=snapshot,
            allowed=allowed,
            bundle=self.bundles.serving(tenant, state.bundle.version),
            count=max(CANDIDATES_PER_SOURCE, 2 * options.page_size),
        )
        if state.bundle.version and request.bundle is None:
            steps.lose(
                "bundle",
                f"no model service has bundle {state.bundle.version} loaded; the list is what is popular",
            )
        candidates = await self._candidates(request, steps, budget)
        new = fresh(request, steps)
        ranked = await rank(
            self.mesh,
            request,
            candidates,
            options.reason_count,
            pool_size(options.page_size),
            steps,
            budget.step(_RANKING_SHARE, self.settings.ranking_seconds),
        )
        with steps.measure("rerank"):
            chosen = rerank(ranked, snapshot, allowed, options.diversity, options.page_size)
            page = place_fresh(chosen, new, options.page_size)
        with steps.measure("explain"):
            items = [_describe(item, candidates, snapshot, options.reason_count) for item in page]
        return pb.RecommendResponse(
            items=items,
            degraded=steps.degraded,
            steps=steps.reports,
            bundle_version=request.bundle.version if request.bundle else "",
            history_count=len(state.history),
        )

    async def _candidates(self, request: SourceInput, steps: StepLog, budget: Budget) -> Candidates:
        seconds = budget.step(_CANDIDATE_SHARE, self.settings.candidate_seconds)
        sources = (collaborative, text_content, picture_content)
        found = await asyncio.gather(*(source(self.mesh, request, steps, seconds) for source in sources))
        return merge([*found, popularity(request, steps)])


def _allowed(snapshot: CatalogSnapshot, state: RecommendationState, options: RecommendOptions) -> Mask:
    """Return bool[N]: passes the filter, is not excluded by the request, and was not seen unless that is asked for."""
    chosen = options.filter
    allowed = snapshot.mask(chosen.required_tags, chosen.excluded_tags, chosen.maximum_maturity_age)
    hidden = options.excluded_item_ids if options.include_seen else options.excluded_item_ids | state.seen_item_ids
    rows = [snapshot.rows[item_id] for item_id in hidden if item_id in snapshot.rows]
    if rows:
        allowed[numpy.array(rows)] = False
    return allowed


def _describe(
    item: ScoredItem | FreshItem, candidates: Candidates, snapshot: CatalogSnapshot, reason_count: int
) -> pb.RecommendedItem:
    row = snapshot.rows[item.item_id]
    sources = [FRESH] if isinstance(item, FreshItem) else candidates.sources_of(item.item_id)
    return pb.RecommendedItem(
        item_id=item.item_id,
        title=snapshot.titles[row],
        tags=snapshot.tags[row],
        score=item.score,
        sources=sources,
        reasons=explain(item, sources, snapshot, reason_count),
    )
