"""Why one item and not another: the reasons for items that somebody asks about, by the scores that would place them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.explanation import explain
from services.orchestrator.recommend.options import RecommendOptions, read_recommend
from services.orchestrator.recommend.pipeline import Recommender, proposals
from services.orchestrator.recommend.ranking import ScoredItem, rank
from services.orchestrator.recommend.slates import SlateItem
from services.orchestrator.recommend.sources.fresh import FRESH, FreshItem, fresh
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.sources.source import Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.recommend.user_settings import with_settings
from services.orchestrator.store.records import RecommendationState, UserEvent
from services.runtime.errors import NotFound

ASKED = "asked"
"""The source of an item that nobody proposed and somebody asks about."""
_RANKING_SHARE = 0.6


@dataclass(frozen=True)
class ItemReasons:
    """Reasons for items, and what they were read from.

    Attributes:
        by_item: reasons by item id, strongest first; an item that nothing speaks for has none.
        history: the user's events that counted, oldest first.
        liked_tags: tags that the user's settings say to like, strongest first.
        snapshot: the catalogue.
        bundle_version: version of the bundle that scored; empty when none did.
    """

    by_item: Mapping[str, Sequence[pb.Reason]]
    history: Sequence[UserEvent]
    liked_tags: Sequence[str]
    snapshot: CatalogSnapshot
    bundle_version: str


@dataclass(frozen=True)
class ItemExplainer:
    """Finds reasons through the recommender's own parts."""

    recommender: Recommender

    async def explain_items(
        self, tenant: str, user_id: str, item_ids: Sequence[str], count: int, steps: StepLog, budget: Budget
    ) -> ItemReasons:
        """Return up to `count` reasons for each item, as a list would give them that had the item in it.

        Raises:
            NotFound: an item is not in the catalogue.
            ServiceError: the store cannot be read and nothing is known from before.
        """
        state, options, snapshot = await self._read(tenant, user_id, steps, budget)
        for index, item_id in enumerate(item_ids):
            if item_id not in snapshot.rows:
                raise NotFound(f"item_ids[{index}]", "item", item_id, "it is not in the catalogue")
        bundle, arm = self.recommender.bundle_for(tenant, state, options, steps)
        request = SourceInput(
            tenant=tenant,
            # An item is no reason for itself.
            history=[event for event in state.history if len(item_ids) > 1 or event.item_id != item_ids[0]],
            snapshot=snapshot,
            allowed=_only(snapshot, item_ids),
            bundle=bundle,
            count=len(item_ids),
            ranker=arm.model,
        )
        asked = Candidates({ASKED: dict.fromkeys(item_ids, 0.0)})
        seconds = budget.step(_RANKING_SHARE, self.recommender.settings.ranking_seconds)
        ranked = await rank(self.recommender.mesh, request, asked, count, len(item_ids), steps, seconds)
        scored = {one.item_id: one for one in ranked}
        new = {one.item_id: one for one in fresh(request, steps)}
        found = {
            item_id: self._reasons(item_id, scored.get(item_id), new.get(item_id), snapshot, options, count)
            for item_id in item_ids
        }
        liked = options.steering.liked_tags
        return ItemReasons(found, state.history, liked, snapshot, bundle.version if bundle else "")

    async def explain_shown(
        self, tenant: str, token: str, count: int, steps: StepLog, budget: Budget
    ) -> tuple[str, ItemReasons]:
        """Return an item of a list that was served and why it stood there, by the list's bundle and events of its time.

        Raises:
            InvalidRequest: the token is bad.
            NotFound: the list is gone, or the item has left the catalogue.
            ServiceError: the store cannot be read and nothing is known from before.
        """
        with steps.measure("slate"):
            made, position = await self.recommender.slates.find_attributed(tenant, token)
        shown = made.items[position]
        state, options, snapshot = await self._read(tenant, made.slate.user_id, steps, budget)
        if shown.item_id not in snapshot.rows:
            raise NotFound("attribution_token", "item", shown.item_id, "it has left the catalogue since")
        history = [event for event in state.history if event.sequence <= made.history_sequence]
        bundle = self.recommender.bundles.serving(tenant, made.slate.bundle_version)
        request = SourceInput(tenant, history, snapshot, _only(snapshot, [shown.item_id]), bundle, 1)
        seconds = budget.step(_RANKING_SHARE, self.recommender.settings.ranking_seconds)
        scored = await rank(self.recommender.mesh, request, proposals([shown]), count, 1, steps, seconds)
        reasons = explain(_placed(shown, scored), list(shown.sources), snapshot, count)
        version = bundle.version if bundle else ""
        found = {shown.item_id: _not_itself(reasons, shown.item_id)}
        return shown.item_id, ItemReasons(found, history, options.steering.liked_tags, snapshot, version)

    async def _read(
        self, tenant: str, user_id: str, steps: StepLog, budget: Budget
    ) -> tuple[RecommendationState, RecommendOptions, CatalogSnapshot]:
        message = pb.RecommendRequest(user_id=user_id)
        read_recommend(message)
        state = await self.recommender.reader.state(tenant, user_id, steps, budget)
        with steps.measure("catalog") as report:
            snapshot = await self.recommender.reader.snapshot(tenant, state.catalog_sequence, report, budget)
            if report.outcome == STEP_OUTCOME_FALLBACK:
                report.detail = "the store did not answer in time; the catalogue is as this replica last knew it"
        return state, read_recommend(with_settings(message, state.settings)), snapshot

    def _reasons(
        self,
        item_id: str,
        scored: ScoredItem | None,
        new: FreshItem | None,
        snapshot: CatalogSnapshot,
        options: RecommendOptions,
        count: int,
    ) -> list[pb.Reason]:
        """Return what speaks for an item: the ranker's terms, what a new item resembles, a stated taste, popularity."""
        reasons: list[pb.Reason] = []
        if scored is not None and scored.evidence is not None:
            reasons = explain(scored, [ASKED], snapshot, count)
        elif new is not None:
            reasons = explain(new, [FRESH], snapshot, count)
        tags = {tag.casefold() for tag in snapshot.tags[snapshot.rows[item_id]]}
        if tags & {tag.casefold() for tag in options.steering.liked_tags}:
            reasons.append(pb.Reason(kind=pb.REASON_KIND_TASTE, share=1.0, text="Of a kind that you like"))
        if not reasons and snapshot.popularity[snapshot.rows[item_id]] > 0:
            reasons = explain(ScoredItem(item_id, 0.0), [POPULARITY], snapshot, count)
        return _not_itself(reasons, item_id)[:count]


def _not_itself(reasons: Sequence[pb.Reason], item_id: str) -> list[pb.Reason]:
    return [reason for reason in reasons if reason.item_id != item_id]


def _placed(shown: SlateItem, scored: Sequence[ScoredItem]) -> ScoredItem | FreshItem:
    if FRESH in shown.sources:
        return FreshItem(shown.item_id, shown.score, None)
    return scored[0] if scored else ScoredItem(shown.item_id, shown.score)


def _only(snapshot: CatalogSnapshot, item_ids: Sequence[str]) -> numpy.typing.NDArray[numpy.bool_]:
    mask = numpy.zeros(len(snapshot), numpy.bool_)
    mask[[snapshot.rows[item_id] for item_id in item_ids]] = True
    return mask
