"""Texts about items from what the catalogue says of them."""

from __future__ import annotations

from dataclasses import dataclass

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.content.writing.facts import item_facts
from services.orchestrator.content.writing.options import Wording
from services.orchestrator.content.writing.rephrasing import catalogue_titles
from services.orchestrator.content.writing.writer import ItemWriter
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.runtime.errors import NotFound

_OPENING, _DESCRIPTION, _STANDING, _AGES = "blurb.opening", "blurb.description", "blurb.standing", "blurb.ages"
PARTS = {
    pb.BLURB_LENGTH_UNSPECIFIED: (_OPENING, _DESCRIPTION, _STANDING),
    pb.BLURB_LENGTH_SHORT: (_OPENING,),
    pb.BLURB_LENGTH_MEDIUM: (_OPENING, _DESCRIPTION, _STANDING),
    pb.BLURB_LENGTH_LONG: (_OPENING, _DESCRIPTION, _STANDING, _AGES),
}
"""What each length says; every part has one sentence, but the description."""
_DESCRIPTION_SENTENCES = {pb.BLURB_LENGTH_LONG: 3}
# Seeds that are tried for one more text that is not there yet.
_TRIES = 40


@dataclass(frozen=True)
class Blurbs:
    """Writes about items."""

    store: Store
    snapshots: CatalogSnapshots
    writer: ItemWriter
    settings: OrchestratorSettings

    async def write(
        self, tenant: str, item_id: str, length: pb.BlurbLength.ValueType, count: int, wording: Wording
    ) -> pb.WriteBlurbResponse:
        """Write up to `count` different texts about an item.

        Raises:
            NotFound: the item is not in the catalogue.
            ServiceError: the store cannot be read.
        """
        steps, budget = StepLog(), Budget.for_current_call(self.settings.content_seconds)
        item = await self.store.get_item(tenant, item_id)
        if item is None:
            raise NotFound("item_id", "item", item_id, "it is not in the catalogue")
        with steps.measure("catalog"):
            snapshot = await self.snapshots.get(tenant, (await self.store.catalog_state(tenant)).sequence)
        whole = item_facts(item, snapshot, wording.kind)
        facts = whole.with_sentences(_DESCRIPTION_SENTENCES.get(length, 1))
        with steps.measure("write"):
            texts: dict[str, pb.WrittenText] = {}
            for number in range(_TRIES):
                written = self.writer.blurb(facts, PARTS[length], wording, wording.seed + number)
                texts.setdefault(written.text, written)
                if len(texts) == count:
                    break
        titles = await catalogue_titles(snapshot) if wording.rephrase else frozenset()
        variants: list[pb.WrittenText] = []
        for number, written in enumerate(texts.values()):
            there = [one.text for one in variants]
            variants.append(
                await self.writer.rephrased(
                    tenant, written, facts, wording, titles, steps, budget, variant=number, not_again=there
                )
            )
        return pb.WriteBlurbResponse(variants=variants, degraded=steps.degraded, steps=steps.reports)
