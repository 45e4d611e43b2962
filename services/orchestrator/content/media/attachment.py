"""Makes a picture or clip part of a catalogue item: its vector, its labels, and tags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from marquee.common.v1.media_pb2 import MediaLabel
from marquee.entertainment.v1 import media_service_pb2 as pb
from services.orchestrator.catalog.content_models import ContentModels
from services.orchestrator.catalog.enrichment import enrich
from services.orchestrator.catalog.mesh_models import kept_labels
from services.orchestrator.content.media.wishes import AttachmentWish
from services.orchestrator.content.moderation.policy import BLOCK
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.store import Store
from services.orchestrator.store.records import DescribedPicture, ItemRecord, ItemVector, ItemWrite
from services.runtime.errors import NotFound
from services.runtime.request_context import current_request

MOST_TAGS, LONGEST_TAG = 50, 64
"""What the catalogue allows an item."""
_SHARE = 0.8


@dataclass(frozen=True)
class Attacher:
    """Attaches pictures and clips to items.

    Args:
        store: where items live.
        models: embed an item's text again when its tags change.
    """

    store: Store
    models: ContentModels

    async def check(self, tenant: str, wish: AttachmentWish, field: str) -> None:
        """Make sure of the item before anything is analysed for it; `field` is the attachment's in the request.

        Raises:
            NotFound: there is no such item.
            ServiceError: the store cannot be read.
        """
        if await self.store.get_item(tenant, wish.item_id) is None:
            raise NotFound(f"{field}.item_id", "item", wish.item_id)

    async def attach(
        self,
        tenant: str,
        wish: AttachmentWish,
        decision: pb.MediaDecision,
        labels: Sequence[MediaLabel] | None,
        vector: ItemVector | None,
        steps: StepLog,
        budget: Budget,
    ) -> pb.AttachmentResult:
        """Attach what was found, unless the policy blocks it or something is missing; says what became of it.

        Args:
            tenant: whose catalogue.
            wish: what to attach to.
            decision: the policy's.
            labels: what it shows, most probable first; None when the model did not answer.
            vector: of length one; None when the model did not answer.
            steps: where the steps are reported.
            budget: time until the answer must leave.

        Raises:
            ServiceError: the store cannot be read or written.
        """
        if decision.action == BLOCK:
            why = "; ".join(reason.message for reason in decision.reasons)
            return pb.AttachmentResult(detail=f"policy {decision.policy!r} blocks it: {why}")
        if labels is None or vector is None:
            return pb.AttachmentResult(
                detail="the vision service did not say what it shows, so nothing was attached; try again later"
            )
        picture = DescribedPicture(kept_labels(labels), vector)
        while True:  # each turn, somebody else's change of the item went through; the caller's deadline ends it
            stored = await self.store.get_item(tenant, wish.item_id)
            if stored is None:
                return pb.AttachmentResult(detail="the item was deleted meanwhile")
            added = new_tags(stored.tags, labels, wish)
            write = replace(_unchanged(stored), tags=(*stored.tags, *added), picture=picture)
            if added:
                enriched = await enrich(self.models, [write], budget.step(_SHARE, math.inf))
                write = enriched.items[0]
            with steps.measure("media/attachment") as report:
                if await self.store.replace_item(tenant, write, expected_revision=stored.revision):
                    if added and write.text_vector is None:
                        report.detail = "the vector of the item's text follows when the text service answers"
                    return pb.AttachmentResult(attached=True, added_tags=added)
                report.detail = "the item was changed meanwhile; done again"
            current_request().check_deadline()


def new_tags(present: Sequence[str], labels: Sequence[MediaLabel], wish: AttachmentWish) -> list[str]:
    """Return the surest labels that are to become tags: none that is there, whatever its case, and no more than fit."""
    known = {tag.casefold() for tag in present}
    added: list[str] = []
    for label in sorted(labels, key=lambda label: -label.probability):
        name = label.label.strip()
        if len(added) == wish.tag_count or len(present) + len(added) >= MOST_TAGS:
            break
        if label.probability < wish.minimum_probability or not 0 < len(name) <= LONGEST_TAG:
            continue
        if name.casefold() not in known:
            known.add(name.casefold())
            added.append(name)
    return added


def _unchanged(stored: ItemRecord) -> ItemWrite:
    return ItemWrite(
        item_id=stored.item_id,
        title=stored.title,
        description=stored.description,
        tags=stored.tags,
        maturity_age=stored.maturity_age,
        release_year=stored.release_year,
        picture_uri=stored.picture_uri,
        locale=stored.locale,
        availability=stored.availability,
    )
