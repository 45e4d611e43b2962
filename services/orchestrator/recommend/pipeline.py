"""The recommendation pipeline: history → candidate sources side by side → ranker → re-ranking → explanation."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.adjustment import adjust
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.explanation import explain
from services.orchestrator.recommend.options import RecommendOptions, read_recommend
from services.orchestrator.recommend.placing import Placed, place
from services.orchestrator.recommend.ranking import ScoredItem, rank
from services.orchestrator.recommend.reading import STORE_SHARE, Reader, why
from services.orchestrator.recommend.reranking import pool_size, rerank_slate
from services.orchestrator.recommend.routing import choose_bundle, named_arm
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.recommend.session import with_session
from services.orchestrator.recommend.slates import MadeSlate, SlateItem, SlateLog, slate_size
from services.orchestrator.recommend.slots import PINNED, fill_slots, showable_slots
from services.orchestrator.recommend.source_weights import check_source_weights
from services.orchestrator.recommend.sources.collaborative import collaborative
from services.orchestrator.recommend.sources.fresh import FRESH, FreshItem, fresh
from services.orchestrator.recommend.sources.picture_content import picture_content
from services.orchestrator.recommend.sources.popularity import popularity
from services.orchestrator.recommend.sources.source import Candidates, SourceInput, merge
from services.orchestrator.recommend.sources.tastes import tastes
from services.orchestrator.recommend.sources.text_content import text_content
from services.orchestrator.recommend.sources.trending import trending
from services.orchestrator.recommend.steering import Steering
from services.orchestrator.recommend.steps import FALLBACKS, StepLog
from services.orchestrator.recommend.trends import Trends
from services.orchestrator.recommend.user_settings import with_settings
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store.records import RecommendationState, RouteArm
from services.runtime.errors import NotFound, ServiceError
from services.runtime.request_context import current_request

CANDIDATES_PER_SOURCE = 100
EVERYTHING = 2_000
"""Candidates to explain when each of them is needed feature by feature."""
_CANDIDATE_SHARE = 0.5
_RANKING_SHARE = 0.8


@dataclass(frozen=True)
class _Page:
    """A page of a list: its items with their places, the place behind it, and whether the list is kept."""

    made: MadeSlate
    items: Sequence[pb.RecommendedItem]
    places: Sequence[int]
    end: int
    kept: bool
    history_count: int


@dataclass(frozen=True)
class RankedList:
    """A list before it is kept: its items in their places, and everything that it was made from.

    Attributes:
        options: what was asked for, with the user's settings.
        state: what was read of the user, the session's items included.
        stored_count: events of the history that are stored.
        allowed: bool[N] over the snapshot.
        bundle: what scored it; None before the first training.
        arm: name of the route's arm.
        candidates: what each source proposed.
        placed: all pages.
    """

    options: RecommendOptions
    state: RecommendationState
    stored_count: int
    snapshot: CatalogSnapshot
    allowed: Mask
    bundle: ServingBundle | None
    arm: str
    candidates: Candidates
    placed: Sequence[Placed]

    @property
    def bundle_version(self) -> str:
        """Version of the bundle; empty before the first training."""
        return self.bundle.version if self.bundle else ""

    @property
    def history_sequence(self) -> int:
        """Highest sequence number of the events that it was made from."""
        return max((event.sequence for event in self.state.history), default=0)

    def slate_item(self, item: ScoredItem | FreshItem) -> SlateItem:
        """Return an item as the slate log keeps it."""
        return SlateItem(item.item_id, item.score, _sources(item, self.candidates, self.options.slots))


@dataclass(frozen=True)
class Recommender:
    """Makes personalised lists from the store, the catalogue and the model services."""

    reader: Reader
    mesh: Mesh
    bundles: BundleKeeper
    settings: OrchestratorSettings
    slates: SlateLog
    trends: Trends

    async def recommend(self, tenant: str, message: pb.RecommendRequest) -> pb.RecommendResponse:
        """Return a list for a user, or another page of one.

        Raises:
            InvalidRequest: a field is bad.
            NotFound: the user has no events and `require_known_user` is set.
            ServiceError: the store cannot be read and nothing is known from before.
        """
        options = read_recommend(message)
        budget = Budget.for_current_call(self.settings.recommend_deadline_seconds)
        steps = StepLog()
        if message.page_token:
            return await self._later_page(tenant, message, options, steps, budget)
        ranked = await self.ranked_list(tenant, message, options, steps, budget)
        options, snapshot = ranked.options, ranked.snapshot
        made = self.slates.make(
            message,
            [ranked.slate_item(one.item) for one in ranked.placed],
            ranked.bundle_version,
            ranked.arm,
            ranked.history_sequence,
            [one.propensity for one in ranked.placed],
        )
        kept = await self.keep(tenant, made, steps, budget)
        with steps.measure("explain"):
            items = [
                describe(shown, explain(one.item, list(shown.sources), snapshot, options.reason_count), snapshot)
                for shown, one in zip(made.items[: options.page_size], ranked.placed, strict=False)
            ]
        count = len(items)
        page = _Page(made, items, range(count), count, kept, ranked.stored_count)
        return self._response(tenant, message, page, steps)

    async def ranked_list(
        self, tenant: str, message: pb.RecommendRequest, options: RecommendOptions, steps: StepLog, budget: Budget
    ) -> RankedList:
        """Make a list that is neither kept nor explained yet; see `recommend` for what it raises."""
        state = await self.reader.state(tenant, options.user_id, steps, budget)
        options = _with_wishes(message, state, options)
        if options.require_known_user and state.event_count == 0:
            raise NotFound("user_id", "user", options.user_id, "no event of this user is stored")
        stored_count = len(state.history)
        state = with_session(state, options.session_item_ids)
        with steps.measure("filter") as report:
            snapshot = await self.reader.snapshot(tenant, state.catalog_sequence, report, budget)
            allowed = _allowed(snapshot, state, options)
            if not allowed.any() and report.outcome == STEP_OUTCOME_OK:
                report.detail = _why_nothing(snapshot, options)
        bundle, arm = self.bundle_for(tenant, state, options, steps)
        request = SourceInput(
            tenant=tenant,
            history=state.history,
            snapshot=snapshot,
            allowed=allowed,
            bundle=bundle,
            count=max(CANDIDATES_PER_SOURCE, 2 * options.page_size),
            ranker=arm.model,
        )
        candidates = await self._candidates(request, options.steering, steps, budget)
        new = fresh(request, steps)
        scored = await rank(
            self.mesh,
            request,
            candidates,
            options.reason_count,
            EVERYTHING if options.steering.source_weights else pool_size(options.page_size),
            steps,
            budget.step(_RANKING_SHARE, self.settings.ranking_seconds),
            weights=options.steering.source_weights,
            # What re-ranking cannot reach need not be spelled out. Wishes move candidates by their spread, caps and
            # exploration may reach down to the last.
            result_count=0 if options.steering.moves else slate_size(options.page_size) + pool_size(options.page_size),
        )
        shown = await self._times_shown(tenant, options, steps, budget)
        with steps.measure("rerank"):
            scored = adjust(scored, snapshot, options.steering, shown)
            order = rerank_slate(scored, new, snapshot, allowed, options.diversity, options.page_size, options.novelty)
            placed = place(
                order,
                page_size=options.page_size,
                caps=options.steering.caps,
                exploration=options.steering.exploration,
                tags_of=lambda item_id: snapshot.tags[snapshot.rows[item_id]],
                random=numpy.random.default_rng(_seed(options.steering.seed)),
            )
            if options.slots:
                pinned = showable_slots(options.slots, snapshot, options.filter.mask(snapshot))
                placed = fill_slots(placed, pinned, slate_size(options.page_size))
        return RankedList(options, state, stored_count, snapshot, allowed, bundle, arm.name, candidates, placed)

    def forget(self, tenant: str, user_id: str) -> None:
        """Forget what this process remembers of a user who was erased from the store."""
        self.reader.known.erase(tenant, user_id)
        self.slates.erase(tenant, user_id)

    async def _later_page(
        self, tenant: str, message: pb.RecommendRequest, options: RecommendOptions, steps: StepLog, budget: Budget
    ) -> pb.RecommendResponse:
        """Return a page of a list that was made before: what is gone since is left out, and nothing moves up."""
        with steps.measure("slate"):
            made, offset = await self.slates.find(tenant, message)
        state = await self.reader.state(tenant, options.user_id, steps, budget)
        options = _with_wishes(message, state, options)
        stored_count = len(state.history)
        state = with_session(state, options.session_item_ids)
        with steps.measure("filter") as report:
            snapshot = await self.reader.snapshot(tenant, state.catalog_sequence, report, budget)
            allowed = _allowed(snapshot, replace(state, seen_item_ids=frozenset()), options)
        places: list[int] = []
        end = offset
        while end < len(made.items) and len(places) < options.page_size:
            row = snapshot.rows.get(made.items[end].item_id)
            if row is not None and allowed[row]:
                places.append(end)
            end += 1
        # The list's own reasons: from the bundle that scored it and the events that it was made from.
        request = SourceInput(
            tenant=tenant,
            history=[event for event in state.history if event.sequence <= made.history_sequence],
            snapshot=snapshot,
            allowed=allowed,
            bundle=self.bundles.serving(tenant, made.slate.bundle_version),
            count=len(places),
        )
        shown = [made.items[place] for place in places]
        evidence: dict[str, ScoredItem] = {}
        if options.reason_count and shown:
            seconds = budget.step(_RANKING_SHARE, self.settings.ranking_seconds)
            scored = await rank(self.mesh, request, proposals(shown), options.reason_count, len(shown), steps, seconds)
            evidence = {item.item_id: item for item in scored}
        with steps.measure("explain"):
            items = [
                describe(
                    item,
                    explain(_place(item, evidence), list(item.sources), snapshot, options.reason_count),
                    snapshot,
                )
                for item in shown
            ]
        return self._response(tenant, message, _Page(made, items, places, end, True, stored_count), steps)

    def bundle_for(
        self, tenant: str, state: RecommendationState, options: RecommendOptions, steps: StepLog
    ) -> tuple[ServingBundle | None, RouteArm]:
        """Return the bundle of the user's arm, or the serving one when no service has that; and the arm."""
        if options.steering.arm:
            arm = named_arm(state, options.steering.arm)
        else:
            arm = choose_bundle(state, tenant, options.user_id, current_request().request_id)
        bundle = self.bundles.serving(tenant, arm.version)
        if bundle is None and arm.version:
            steps.lose("bundle", f"no model service has bundle {arm.version} loaded; {FALLBACKS['bundle']}")
            if arm.version != state.bundle.version:
                arm = RouteArm("", "", state.bundle.version, 1)
                bundle = self.bundles.serving(tenant, arm.version)
        if bundle is not None and arm.model and bundle.rankers and arm.model not in bundle.rankers:
            why_not = f"bundle {bundle.version} has no ranker {arm.model!r} but {', '.join(bundle.rankers)}"
            steps.lose("ranker", f"{why_not}; {FALLBACKS['ranker']}")
            arm = replace(arm, name="", model="")
        return bundle, arm

    async def keep(self, tenant: str, made: MadeSlate, steps: StepLog, budget: Budget) -> bool:
        """Store a list; returns whether it is on disk."""
        with steps.measure("slate") as report:
            try:
                await self.slates.keep(tenant, made, budget.step(STORE_SHARE, self.settings.slate_seconds))
            except (ServiceError, TimeoutError) as error:
                report.outcome = STEP_OUTCOME_FALLBACK
                report.detail = f"{why(error)}; {FALLBACKS['slate']}"
                return False
        return True

    def _response(self, tenant: str, message: pb.RecommendRequest, page: _Page, steps: StepLog) -> pb.RecommendResponse:
        made = page.made
        propensities = numpy.frombuffer(made.slate.propensities, "<f4")
        for item, position in zip(page.items, page.places, strict=True):
            item.position = position
            item.propensity = float(propensities[position])
            if page.kept:
                item.attribution_token = self.slates.attribution_token(tenant, made, position)
        return pb.RecommendResponse(
            items=page.items,
            degraded=steps.degraded,
            steps=steps.reports,
            bundle_version=made.slate.bundle_version,
            history_count=page.history_count,
            next_page_token=self.slates.page_token(tenant, message, made, page.end) if page.kept else "",
            slate_id=made.slate.slate_id if page.kept else "",
            arm=made.slate.arm,
        )

    async def _candidates(self, request: SourceInput, steering: Steering, steps: StepLog, budget: Budget) -> Candidates:
        seconds = budget.step(_CANDIDATE_SHARE, self.settings.candidate_seconds)
        sources = (collaborative, text_content, picture_content)
        found = await asyncio.gather(*(source(self.mesh, request, steps, seconds) for source in sources))
        wished = tastes(request, steering.liked_tags, steps)
        everything = merge([*found, wished, trending(self.trends, request, steps), popularity(request, steps)])
        check_source_weights(steering.source_weights, everything, request.bundle)
        return everything.without({name for name, weight in steering.source_weights.items() if weight == 0})

    async def _times_shown(
        self, tenant: str, options: RecommendOptions, steps: StepLog, budget: Budget
    ) -> Mapping[str, int]:
        """Count what stood on top of the user's lists of late; nothing when nobody asks or the store is late."""
        if not options.steering.fatigue:
            return {}
        with steps.measure("impressions") as report:
            try:
                seconds = budget.step(STORE_SHARE, self.settings.history_seconds)
                return await self.slates.times_shown(tenant, options.user_id, seconds)
            except (ServiceError, TimeoutError) as error:
                report.outcome = STEP_OUTCOME_FALLBACK
                report.detail = f"{why(error)}; {FALLBACKS['impressions']}"
        return {}


def _with_wishes(
    message: pb.RecommendRequest, state: RecommendationState, options: RecommendOptions
) -> RecommendOptions:
    """Return the options with the user's settings where the request is silent."""
    filled = with_settings(message, state.settings)
    return options if filled is message else read_recommend(filled)


def _seed(seed: int | None) -> int:
    """Return a seed that the random generator takes."""
    return secrets.randbits(63) if seed is None else seed % (1 << 63)


def _allowed(snapshot: CatalogSnapshot, state: RecommendationState, options: RecommendOptions) -> Mask:
    """Return bool[N]: passes the filter, is not excluded by the request, and was not seen unless that is asked for."""
    allowed = options.filter.mask(snapshot)
    hidden = options.excluded_item_ids if options.include_seen else options.excluded_item_ids | state.seen_item_ids
    rows = [snapshot.rows[item_id] for item_id in hidden if item_id in snapshot.rows]
    if rows:
        allowed[numpy.array(rows)] = False
    return allowed


def _why_nothing(snapshot: CatalogSnapshot, options: RecommendOptions) -> str:
    """Say what leaves no item: the request's filters, or what was excluded or seen besides."""
    if not len(snapshot):
        return "the catalogue is empty"
    if options.filter.expression is not None and not options.filter.expression.mask(snapshot).any():
        return "no item passes the filter expression; a field or a tag may be spelled differently (tags mind the case)"
    if not options.filter.mask(snapshot).any():
        return "no item passes the filters together"
    return "every item that passes the filters was seen or is excluded"


def _sources(item: ScoredItem | FreshItem, candidates: Candidates, slots: Mapping[int, str]) -> tuple[str, ...]:
    if item.item_id in slots.values():
        return (PINNED,)
    return (FRESH,) if isinstance(item, FreshItem) else tuple(candidates.sources_of(item.item_id))


def proposals(items: Sequence[SlateItem]) -> Candidates:
    """Return the items of a list as its sources proposed them."""
    return Candidates(
        {
            source: {item.item_id: item.score for item in items if source in item.sources}
            for source in dict.fromkeys(source for item in items for source in item.sources)
        }
    )


def _place(item: SlateItem, evidence: Mapping[str, ScoredItem]) -> ScoredItem | FreshItem:
    if FRESH in item.sources:
        return FreshItem(item.item_id, item.score, None)
    return evidence.get(item.item_id) or ScoredItem(item.item_id, item.score)


def describe(item: SlateItem, reasons: Sequence[pb.Reason], snapshot: CatalogSnapshot) -> pb.RecommendedItem:
    """Return an item as callers see it."""
    row = snapshot.rows[item.item_id]
    return pb.RecommendedItem(
        item_id=item.item_id,
        title=snapshot.titles[row],
        tags=snapshot.tags[row],
        score=item.score,
        sources=item.sources,
        reasons=reasons,
    )
