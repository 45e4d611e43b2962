"""Why a user might like items, in words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.content.writing.facts import Source, item_facts, reason_facts
from services.orchestrator.content.writing.options import Wording
from services.orchestrator.content.writing.rephrasing import catalogue_titles
from services.orchestrator.content.writing.writer import ItemWriter
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.item_reasons import ItemExplainer, ItemReasons
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.runtime.errors import NotFound


@dataclass(frozen=True)
class Explanations:
    """Explains items to users."""

    store: Store
    explainer: ItemExplainer
    writer: ItemWriter
    settings: OrchestratorSettings

    async def items(
        self, tenant: str, user_id: str, item_ids: Sequence[str], count: int, wording: Wording
    ) -> pb.ExplainItemResponse:
        """Explain items to a user as things stand now.

        Raises:
            NotFound: an item is not in the catalogue.
            ServiceError: the store cannot be read.
        """
        steps, budget = self._start()
        found = await self.explainer.explain_items(tenant, user_id, item_ids, count, steps, budget)
        return await self._write(tenant, item_ids, found, "ranker", wording, steps, budget)

    async def shown(self, tenant: str, token: str, count: int, wording: Wording) -> pb.ExplainItemResponse:
        """Explain an item of a list that was served, as it stood there.

        Raises:
            InvalidRequest: the token is bad.
            NotFound: the list is gone, or the item has left the catalogue.
            ServiceError: the store cannot be read.
        """
        steps, budget = self._start()
        item_id, found = await self.explainer.explain_shown(tenant, token, count, steps, budget)
        return await self._write(tenant, [item_id], found, "slate", wording, steps, budget)

    def _start(self) -> tuple[StepLog, Budget]:
        return StepLog(), Budget.for_current_call(self.settings.content_seconds)

    async def _write(
        self,
        tenant: str,
        item_ids: Sequence[str],
        found: ItemReasons,
        source: Source,
        wording: Wording,
        steps: StepLog,
        budget: Budget,
    ) -> pb.ExplainItemResponse:
        items = await asyncio.gather(*(self.store.get_item(tenant, item_id) for item_id in item_ids))
        titles = await catalogue_titles(found.snapshot) if wording.rephrase else frozenset()
        explanations = []
        for item_id, item in zip(item_ids, items, strict=True):
            if item is None:
                raise NotFound("item_ids", "item", item_id, "it has left the catalogue")
            facts = item_facts(item, found.snapshot, wording.kind)
            given = reason_facts(found.by_item[item_id], facts, found.history, found.liked_tags, source)
            facts = facts.because([fact for _, fact in given])
            written = self.writer.explanation(facts, wording)
            # A description says nothing of why; the model is told of it no more than the template.
            told = replace(facts, sentences=())
            written = await self.writer.rephrased(tenant, written, told, wording, titles, steps, budget)
            reasons = [reason for reason, _ in given]
            explanations.append(pb.ItemExplanation(item_id=item_id, written=written, reasons=reasons))
        return pb.ExplainItemResponse(
            explanations=explanations,
            degraded=steps.degraded,
            steps=steps.reports,
            bundle_version=found.bundle_version,
        )
