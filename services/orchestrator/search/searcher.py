"""The search pipeline: filter → words → meaning → one score → taste → page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import search_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Floats, Mask, VectorColumn
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.reading import Reader
from services.orchestrator.recommend.steps import FALLBACKS, StepLog
from services.orchestrator.search.fusion import SENTENCES, WORDS, Relevance, best_rows, fuse, personalise
from services.orchestrator.search.highlights import Answers, answers_to, highlight
from services.orchestrator.search.indexes import SearchIndexes
from services.orchestrator.search.lexical import LexicalMatches, match
from services.orchestrator.search.options import SearchOptions, filter_of, read_search, read_suggest
from services.orchestrator.search.pages import MOST_ITEMS, SearchPages, name_of
from services.orchestrator.search.semantic import STEP as SEMANTIC_STEP
from services.orchestrator.search.semantic import cosines, query_vector, readable
from services.orchestrator.search.taste import MOST_JUDGED, NEUTRAL, Person, taste_of
from services.orchestrator.search.word_vectors import MODEL as WORD_MODEL
from services.orchestrator.search.word_vectors import WordVectors
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store.records import RecommendationState

LEXICAL_STEP = "search/lexical"
WORD_VECTORS_STEP = "search/word-vectors"
_INDEX_SHARE = 0.5
_SEMANTIC_SHARE = 0.7
_PERSONAL_SHARE = 0.8
_ALL_WORDS = 0.99
_SMALL = 5_000
"""Vectors that are compared faster than a thread is woken up."""


@dataclass(frozen=True)
class Searcher:
    """Answers searches from the store, the catalogue and the model services."""

    reader: Reader
    mesh: Mesh
    bundles: BundleKeeper
    indexes: SearchIndexes
    word_vectors: WordVectors
    pages: SearchPages
    settings: OrchestratorSettings

    async def search(self, tenant: str, message: pb.SearchRequest) -> pb.SearchResponse:
        """Return what a query finds.

        Raises:
            InvalidRequest: a field is bad.
            ServiceError: the store cannot be read and nothing is known from before.
        """
        options = read_search(message)
        budget = Budget.for_current_call(self.settings.recommend_deadline_seconds)
        steps = StepLog()
        shown = self.pages.shown(tenant, message)
        state = await self.reader.state(tenant, options.user_id, steps, budget)
        with steps.measure("filter") as report:
            snapshot = await self.reader.snapshot(tenant, state.catalog_sequence, report, budget)
            allowed = filter_of(message, state.settings).mask(snapshot)
        lexical = await self._by_words(tenant, snapshot, options.query, steps, budget) if options.lexical else None
        by_meaning = None
        if options.semantic and allowed.any():
            query = as_meant(options.query, lexical, allowed)
            meaning = self._by_word_meaning if options.fast else self._by_meaning
            by_meaning = await meaning(tenant, snapshot, query, steps, budget)
        relevance = fuse(lexical, by_meaning, allowed, floor=WORDS if options.fast else SENTENCES)
        scores, taste = await self._with_taste(tenant, snapshot, relevance, state, options, steps, budget)
        with steps.measure("page"):
            best = best_rows(scores, relevance.found, snapshot, MOST_ITEMS)
            page, token = self._page(tenant, message, options, snapshot, best, shown)
            answers = answers_to(lexical) if lexical is not None else {}
            items = [_found(snapshot, row, scores, relevance, taste, answers) for row in page]
        return pb.SearchResponse(
            items=items,
            did_you_mean=lexical.corrected(options.query) if lexical is not None else "",
            reason="" if items else _why_nothing(snapshot, allowed, shown, late=options.lexical and lexical is None),
            next_page_token=token,
            degraded=steps.degraded,
            steps=steps.reports,
            history_count=len(state.history) if options.user_id and options.personal_weight else 0,
        )

    async def suggest(self, tenant: str, message: pb.SuggestRequest) -> pb.SuggestResponse:
        """Return titles that what was typed may become.

        Raises:
            InvalidRequest: a field is bad.
            ServiceError: the store cannot be read and nothing is known from before.
        """
        count, wanted = read_suggest(message)
        budget = Budget.for_current_call(self.settings.recommend_deadline_seconds)
        steps = StepLog()
        state = await self.reader.state(tenant, "", steps, budget)
        with steps.measure("filter") as report:
            snapshot = await self.reader.snapshot(tenant, state.catalog_sequence, report, budget)
            allowed = wanted.mask(snapshot)
        lexical = await self._by_words(tenant, snapshot, message.query, steps, budget)
        if lexical is None:
            return pb.SuggestResponse(degraded=steps.degraded, steps=steps.reports)
        relevance = fuse(lexical, None, allowed & (lexical.coverage >= _ALL_WORDS))
        answers = answers_to(lexical)
        taste = np.full(len(snapshot), NEUTRAL, np.float32)
        asked = {one.word.text for one in lexical.words}
        items: list[pb.FoundItem] = []
        for row in best_rows(relevance.scores, relevance.found, snapshot, MOST_ITEMS):
            item = _found(snapshot, row, relevance.scores, relevance, taste, answers)
            if asked & {one.query_word for one in item.matches if one.field == "title"}:
                items.append(item)
            if len(items) == count:
                break
        return pb.SuggestResponse(items=items, degraded=steps.degraded, steps=steps.reports)

    async def _by_words(
        self, tenant: str, snapshot: CatalogSnapshot, query: str, steps: StepLog, budget: Budget
    ) -> LexicalMatches | None:
        """Match words over a snapshot; None, with the reason in the step report, while its index is not ready."""
        with steps.measure(LEXICAL_STEP) as report:
            try:
                async with asyncio.timeout(budget.step(_INDEX_SHARE, self.settings.catalog_seconds)):
                    index = await self.indexes.get(tenant, snapshot)
            except TimeoutError:
                report.outcome = STEP_OUTCOME_FALLBACK
                report.detail = f"the words of the catalogue are still being indexed; {FALLBACKS[LEXICAL_STEP]}"
                return None
            return await asyncio.to_thread(lambda: match(index.on(snapshot), query))
        return None

    async def _by_meaning(
        self, tenant: str, snapshot: CatalogSnapshot, query: str, steps: StepLog, budget: Budget
    ) -> Floats | None:
        """Return the cosine of each item's text with the query."""
        seconds = budget.step(_SEMANTIC_SHARE, self.settings.candidate_seconds)
        return await _compared(snapshot.text, await query_vector(self.mesh, snapshot.text, query, steps, seconds))

    async def _by_word_meaning(
        self, tenant: str, snapshot: CatalogSnapshot, query: str, steps: StepLog, budget: Budget
    ) -> Floats | None:
        """The same by static word vectors; None, with the reason in the step report, while they are being made."""
        seconds = budget.step(_SEMANTIC_SHARE, self.settings.candidate_seconds)
        column = None
        with steps.measure(WORD_VECTORS_STEP, "text") as report:
            try:
                async with asyncio.timeout(seconds):
                    column = await self.word_vectors.get(tenant, snapshot)
            except TimeoutError:
                report.outcome = STEP_OUTCOME_FALLBACK
                report.detail = f"the items' word vectors are still being made; {FALLBACKS[SEMANTIC_STEP]}"
        if column is None:
            return None
        vector = await query_vector(self.mesh, column, query, steps, seconds, WORD_MODEL)
        if vector is None and readable(query):
            # Another version of the model may have answered: the next fast search makes the vectors again.
            self.word_vectors.forget(tenant)
        return await _compared(column, vector)

    async def _with_taste(
        self,
        tenant: str,
        snapshot: CatalogSnapshot,
        relevance: Relevance,
        state: RecommendationState,
        options: SearchOptions,
        steps: StepLog,
        budget: Budget,
    ) -> tuple[Floats, Floats]:
        """Return the scores moved by the user's taste, and the taste."""
        neutral = np.full(len(snapshot), NEUTRAL, np.float32)
        if not options.user_id or not options.personal_weight or not (state.history or state.settings):
            return relevance.scores, neutral
        rows = best_rows(relevance.scores, relevance.found, snapshot, MOST_JUDGED)
        bundle = self.bundles.serving(tenant, state.bundle.version)
        seconds = budget.step(_PERSONAL_SHARE, self.settings.candidate_seconds)
        taste = await taste_of(self.mesh, Person(tenant, state, bundle), snapshot, rows, steps, seconds)
        return personalise(relevance.scores, taste, options.personal_weight), taste

    def _page(
        self,
        tenant: str,
        message: pb.SearchRequest,
        options: SearchOptions,
        snapshot: CatalogSnapshot,
        best: Sequence[int],
        shown: list[bytes],
    ) -> tuple[list[int], str]:
        """Return the rows of the page and the token of the next."""
        before = set(shown)
        room = min(options.page_size, MOST_ITEMS - len(shown))
        left = [row for row in best if name_of(snapshot.item_ids[row]) not in before] if before else list(best)
        page = left[:room]
        names = [*shown, *(name_of(snapshot.item_ids[row]) for row in page)]
        more = len(left) > len(page) and len(names) < MOST_ITEMS
        return page, self.pages.token(tenant, message, names) if more else ""


async def _compared(column: VectorColumn, vector: Floats | None) -> Floats | None:
    if vector is None:
        return None
    if len(column.values) <= _SMALL:
        return cosines(column, vector)
    return await asyncio.to_thread(cosines, column, vector)


def as_meant(query: str, lexical: LexicalMatches | None, allowed: Mask) -> str:
    """Return the query as corrected where some item has every word of the correction; else as it was typed."""
    if lexical is None or not (lexical.coverage[allowed] >= _ALL_WORDS).any():
        return query
    return lexical.corrected(query) or query


def _found(
    snapshot: CatalogSnapshot, row: int, scores: Floats, relevance: Relevance, taste: Floats, answers: Answers
) -> pb.FoundItem:
    return pb.FoundItem(
        item_id=snapshot.item_ids[row],
        title=snapshot.titles[row],
        tags=snapshot.tags[row],
        release_year=int(snapshot.release_years[row]),
        score=float(scores[row]),
        lexical_score=float(relevance.lexical[row]),
        semantic_score=float(relevance.semantic[row]),
        personal_score=float(taste[row]),
        matches=highlight(snapshot, row, answers),
    )


def _why_nothing(snapshot: CatalogSnapshot, allowed: Mask, shown: Sequence[bytes], *, late: bool) -> str:
    if not len(snapshot):
        return "the catalogue is empty"
    if not allowed.any():
        return "no item passes the filters together"
    if late:
        return "the words of the catalogue are still being indexed; search again in a moment"
    if shown:
        return "everything that was found has been shown"
    return "no item has these words, or words near them, or a meaning close to theirs"
