"""The home page: one ranked list, divided into rows with a meaning, and what goes back to single items."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.continue_watching import NEWEST_EVENTS, started_items
from services.orchestrator.recommend.explanation import explain
from services.orchestrator.recommend.home_rows import (
    FilledRow,
    RowPlan,
    favourite_items,
    favourite_tags,
    fill_rows,
)
from services.orchestrator.recommend.options import SimilarOptions, read_recommend
from services.orchestrator.recommend.pipeline import RankedList, Recommender, describe
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.reading import STORE_SHARE, why
from services.orchestrator.recommend.similar import SimilarItems
from services.orchestrator.recommend.slates import MadeSlate, SlateItem
from services.orchestrator.recommend.sources.fresh import FRESH, FreshItem
from services.orchestrator.recommend.sources.trending import TRENDING
from services.orchestrator.recommend.steps import FALLBACKS, StepLog
from services.orchestrator.store.records import EventRecord
from services.runtime.errors import InvalidRequest, ServiceError
from services.runtime.validation import Violations

DEFAULT_ROWS = 6
MOST_ROWS = 20
MOST_ROW_ITEMS = 50
CONTINUED, SIMILAR, TAG = "continue", "similar", "tag"
_BECAUSE_ROWS = 2
_TAG_ROWS = 10
_NOT_HERE = ("page_token", "slots", "exploration", "source_weights", "include_seen")


@dataclass(frozen=True)
class HomePages:
    """Makes home pages; also tells what a user began."""

    recommender: Recommender
    similar: SimilarItems

    async def home_page(self, tenant: str, request: pb.GetHomePageRequest) -> pb.GetHomePageResponse:
        """Return a page of rows without repeats.

        Raises:
            InvalidRequest: a field is bad, or has no place on a home page.
            ServiceError: the store cannot be read and nothing is known from before.
        """
        row_count = _check(request)
        message = request.list
        options = read_recommend(message)
        budget = Budget.for_current_call(self.recommender.settings.recommend_deadline_seconds)
        steps = StepLog()
        ranked = await self.recommender.ranked_list(tenant, message, options, steps, budget)
        events = await self._events(tenant, options.user_id, steps, budget)
        plans = await self._plans(tenant, ranked, events, steps)
        row_size = min(ranked.options.page_size, MOST_ROW_ITEMS)
        rows = fill_rows(plans, row_size, row_count)
        made = self._slate(message, ranked, rows)
        kept = await self.recommender.keep(tenant, made, steps, budget)
        return pb.GetHomePageResponse(
            rows=self._describe(tenant, ranked, rows, made, kept),
            degraded=steps.degraded,
            steps=steps.reports,
            bundle_version=ranked.bundle_version,
            slate_id=made.slate.slate_id if kept else "",
            arm=ranked.arm,
        )

    async def continue_watching(self, tenant: str, request: pb.ContinueWatchingRequest) -> pb.ContinueWatchingResponse:
        """Return what the user began, newest first.

        Raises:
            InvalidRequest: a field is bad.
            ServiceError: the store cannot be read.
        """
        check = Violations()
        size = check.size("page_size", request.page_size, default=10, maximum=100)
        check.raise_if_any()
        message = pb.RecommendRequest(user_id=request.user_id)
        options = read_recommend(message)
        budget = Budget.for_current_call(self.recommender.settings.recommend_deadline_seconds)
        steps = StepLog()
        state = await self.recommender.reader.state(tenant, options.user_id, steps, budget)
        events = await self.recommender.reader.store.list_user_events(tenant, options.user_id, NEWEST_EVENTS)
        with steps.measure("filter") as report:
            snapshot = await self.recommender.reader.snapshot(tenant, state.catalog_sequence, report, budget)
        return pb.ContinueWatchingResponse(items=started_items(events, snapshot, options.filter.mask(snapshot))[:size])

    async def _events(self, tenant: str, user_id: str, steps: StepLog, budget: Budget) -> list[EventRecord]:
        with steps.measure("continue") as report:
            try:
                async with asyncio.timeout(budget.step(STORE_SHARE, self.recommender.settings.history_seconds)):
                    return await self.recommender.reader.store.list_user_events(tenant, user_id, NEWEST_EVENTS)
            except (ServiceError, TimeoutError) as error:
                report.outcome = STEP_OUTCOME_FALLBACK
                report.detail = f"{why(error)}; {FALLBACKS['continue']}"
        return []

    async def _plans(self, tenant: str, ranked: RankedList, events: list[EventRecord], steps: StepLog) -> list[RowPlan]:
        """Return every row that there could be, in the order of the page."""
        snapshot, options = ranked.snapshot, ranked.options
        order = [one.item.item_id for one in ranked.placed]
        begun = started_items(events, snapshot, options.filter.mask(snapshot))
        plans = [
            RowPlan(pb.HOME_ROW_KIND_CONTINUE, "Continue", CONTINUED, [item.item_id for item in begun], shortest=1),
            RowPlan(pb.HOME_ROW_KIND_FOR_YOU, "For you", "", order),
        ]
        seeds = favourite_items(ranked.state.history, snapshot, _BECAUSE_ROWS)
        alike = await asyncio.gather(*(self._like(tenant, item_id, ranked, steps) for item_id in seeds))
        because = [
            RowPlan(
                pb.HOME_ROW_KIND_BECAUSE,
                f"Because of {snapshot.titles[snapshot.rows[seed]]}",
                SIMILAR,
                found,
                item_id=seed,
            )
            for seed, found in zip(seeds, alike, strict=True)
        ]
        trends = ranked.candidates.by_source.get(TRENDING, {})
        new = [one.item.item_id for one in ranked.placed if isinstance(one.item, FreshItem)]
        tags = [
            RowPlan(pb.HOME_ROW_KIND_TAG, tag, TAG, _of_tag(tag, order, ranked), tag=tag)
            for tag in favourite_tags(ranked.state.history, snapshot, _TAG_ROWS)
        ]
        return [
            *plans,
            *because[:1],
            RowPlan(pb.HOME_ROW_KIND_TRENDING, "Much watched these days", TRENDING, list(trends)),
            *tags[:1],
            RowPlan(pb.HOME_ROW_KIND_NEW, "New", FRESH, new),
            *because[1:],
            *tags[1:],
        ]

    async def _like(self, tenant: str, item_id: str, ranked: RankedList, steps: StepLog) -> list[str]:
        """Return what is like an item and may be shown; nothing when that cannot be told."""
        options = SimilarOptions(item_id, 100, ranked.options.filter)
        try:
            found = await self.similar.similar(tenant, options)
        except ServiceError as error:
            steps.lose("because", f"{error.message}; {FALLBACKS['because']}")
            return []
        rows = ranked.snapshot.rows
        return [one.item_id for one in found.items if one.item_id in rows and ranked.allowed[rows[one.item_id]]]

    def _slate(self, message: pb.RecommendRequest, ranked: RankedList, rows: list[FilledRow]) -> MadeSlate:
        scores = {one.item.item_id: one.item for one in ranked.placed}
        items = []
        for row in rows:
            for item_id in row.item_ids:
                known = scores.get(item_id)
                sources = ranked.slate_item(known).sources if known is not None else ()
                added = (row.plan.source,) if row.plan.source and row.plan.source not in sources else ()
                items.append(SlateItem(item_id, known.score if known is not None else 0.0, (*sources, *added)))
        return self.recommender.slates.make(message, items, ranked.bundle_version, ranked.arm, ranked.history_sequence)

    def _describe(
        self, tenant: str, ranked: RankedList, rows: list[FilledRow], made: MadeSlate, kept: bool
    ) -> list[pb.HomeRow]:
        known = {one.item.item_id: one.item for one in ranked.placed}
        described, position = [], 0
        for row in rows:
            plan = row.plan
            message = pb.HomeRow(kind=plan.kind, title=plan.title, item_id=plan.item_id, tag=plan.tag)
            for item_id in row.item_ids:
                shown = made.items[position]
                item = known.get(item_id) or ScoredItem(item_id, 0.0)
                reasons = _reasons(plan, item, shown, ranked)
                entry = describe(shown, reasons, ranked.snapshot)
                entry.position, entry.propensity = position, 1.0
                if kept:
                    entry.attribution_token = self.recommender.slates.attribution_token(tenant, made, position)
                message.items.append(entry)
                position += 1
            described.append(message)
        return described


def _reasons(plan: RowPlan, item: ScoredItem | FreshItem, shown: SlateItem, ranked: RankedList) -> list[pb.Reason]:
    """Return why an item is here; a row that goes back to one item says so first."""
    count = ranked.options.reason_count
    if plan.kind == pb.HOME_ROW_KIND_CONTINUE:
        return []
    if plan.kind == pb.HOME_ROW_KIND_BECAUSE and count:
        title = ranked.snapshot.titles[ranked.snapshot.rows[plan.item_id]]
        return [
            pb.Reason(kind=pb.REASON_KIND_HISTORY_ITEM, item_id=plan.item_id, title=title, share=1.0, text=plan.title)
        ]
    return explain(item, list(shown.sources), ranked.snapshot, count)


def _of_tag(tag: str, order: list[str], ranked: RankedList) -> list[str]:
    """Return what carries a tag: the list's items in its order, then the best-known others."""
    snapshot = ranked.snapshot
    rows = [int(row) for row in snapshot.rows_with_tag(tag) if ranked.allowed[row]]
    carrying = {snapshot.item_ids[row] for row in rows}
    known = sorted(rows, key=lambda row: -float(snapshot.popularity[row]))[:MOST_ROW_ITEMS]
    return [*(item_id for item_id in order if item_id in carrying), *(snapshot.item_ids[row] for row in known)]


def _check(request: pb.GetHomePageRequest) -> int:
    """Return the number of rows wanted; refuses what has no place here."""
    check = Violations()
    count = check.size("row_count", request.row_count, default=DEFAULT_ROWS, maximum=MOST_ROWS)
    given = {field.name for field, _ in request.list.ListFields()}
    for name in _NOT_HERE:
        if name in given:
            check.add(f"list.{name}", "has no place on a home page; leave it out")
    try:
        read_recommend(request.list)
    except InvalidRequest as error:
        for violation in error.violations:
            check.add(f"list.{violation.field}", violation.description)
    check.raise_if_any()
    return count
