"""CatalogService: checks requests, has items enriched, keeps them in the store."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence

from marquee.common.v1.report_pb2 import STEP_OUTCOME_OK, StepReport
from marquee.common.v1.vector_pb2 import Vector
from marquee.entertainment.v1 import catalog_service_pb2 as pb
from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from services.orchestrator.catalog.content_models import ContentModels
from services.orchestrator.catalog.enrichment import Enriched, enrich
from services.orchestrator.catalog.item_checks import (
    SortedItems,
    checked_item,
    checked_items,
    refused_item,
    sorted_items,
)
from services.orchestrator.catalog.item_messages import item_message
from services.orchestrator.catalog.item_updates import changed, checked_paths
from services.orchestrator.catalog.parts import in_parts
from services.orchestrator.store import Store
from services.orchestrator.store.page_tokens import decode_page_token, encode_page_token
from services.orchestrator.store.records import ItemRecord, ItemVector, ItemWrite
from services.runtime.errors import FieldViolation, InvalidRequest, NotFound
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

_EXPORT_ITEMS = 500
_RESPONSE_BYTES = 3 << 20
"""Lists and parts of an export stay below this, because most gRPC clients refuse messages above 4 MiB."""
_DEFAULT_SECONDS = 30.0
_PLACE = re.compile(r"items\[(\d+)\]\.")
_ENRICHMENT_SHARE = 0.8
"""Share of the caller's time that the model services may use; the rest is for storing."""


class CatalogServicer(CatalogServiceServicer):
    """See catalog_service.proto for what the methods promise.

    Args:
        store: where items live.
        models: the model services.
    """

    def __init__(self, store: Store, models: ContentModels) -> None:
        self._store = store
        self._models = models

    async def UpsertItems(self, request: pb.UpsertItemsRequest, context: CallContext) -> pb.UpsertItemsResponse:
        """Describe the items as far as the model services answer, and store them."""
        call = current_request()
        if request.keep_valid:
            enriched, refused = await self._enrich_valid(request.items)
        else:
            enriched, refused = await enrich(self._models, checked_items(request.items), _budget()), []
        if not enriched.items:
            return pb.UpsertItemsResponse(refused_items=refused)
        start = time.monotonic()
        counts = await self._store.upsert_items(call.tenant, enriched.items)
        return pb.UpsertItemsResponse(
            created_count=counts.created,
            updated_count=counts.updated,
            degraded=enriched.degraded,
            steps=[*enriched.steps, _store_step(start)],
            refused_items=refused,
        )

    async def UpdateItem(self, request: pb.UpdateItemRequest, context: CallContext) -> pb.UpdateItemResponse:
        """Change fields of an item; somebody else's change of it at the same moment is kept."""
        _check_item_id(request.item.item_id, "item.item_id")
        paths = checked_paths(request.update_mask.paths)
        tenant, item_id = current_request().tenant, request.item.item_id
        while True:  # each turn, somebody else's change went through; the caller's deadline ends it
            stored = await self._store.get_item(tenant, item_id)
            if stored is None:
                raise NotFound("item.item_id", "item", item_id)
            before = item_message(stored)
            write = checked_item(changed(before, request.item, paths))
            same_text = (write.title, write.description, write.tags) == (stored.title, stored.description, stored.tags)
            enriched = await self._enrich_one(write, with_texts=not same_text)
            start = time.monotonic()
            if await self._store.replace_item(tenant, enriched.items[0], expected_revision=stored.revision):
                break
            current_request().check_deadline()
        now = await self._store.get_item(tenant, item_id)
        if now is None:
            raise NotFound("item.item_id", "item", item_id, "it was deleted meanwhile")
        steps = [*enriched.steps, _store_step(start)]
        return pb.UpdateItemResponse(item=item_message(now), degraded=enriched.degraded, steps=steps)

    async def GetItem(self, request: pb.GetItemRequest, context: CallContext) -> pb.GetItemResponse:
        """Return one item."""
        _check_item_id(request.item_id)
        record = await self._store.get_item(current_request().tenant, request.item_id)
        if record is None:
            raise NotFound("item_id", "item", request.item_id)
        return pb.GetItemResponse(item=item_message(record))

    async def ListItems(self, request: pb.ListItemsRequest, context: CallContext) -> pb.ListItemsResponse:
        """Return a page of items; it is shorter than asked when the items are large."""
        tenant = current_request().tenant
        violations = Violations()
        limit = violations.size("page_size", request.page_size, default=100, maximum=1_000)
        violations.raise_if_any()
        scope = ("items", tenant)
        after = decode_page_token(scope, request.page_token, (str,))[0] if request.page_token else ""
        state = await self._store.catalog_state(tenant)
        # One more than asked tells whether a page follows.
        records = await self._store.list_items(tenant, after, limit + 1)
        items = next(in_parts(map(item_message, records[:limit]), limit, pb.Item.ByteSize, _RESPONSE_BYTES), [])
        more = len(items) < len(records)
        return pb.ListItemsResponse(
            items=items,
            next_page_token=encode_page_token(scope, [items[-1].item_id]) if more else "",
            total_count=state.item_count,
            change_sequence=state.sequence,
        )

    async def DeleteItem(self, request: pb.DeleteItemRequest, context: CallContext) -> pb.DeleteItemResponse:
        """Delete one item."""
        _check_item_id(request.item_id)
        if not await self._store.delete_item(current_request().tenant, request.item_id):
            raise NotFound("item_id", "item", request.item_id)
        return pb.DeleteItemResponse()

    async def _enrich_one(self, write: ItemWrite, *, with_texts: bool) -> Enriched:
        try:
            return await enrich(self._models, [write], _budget(), with_texts=with_texts)
        except InvalidRequest as error:
            named = [
                FieldViolation(one.field.replace("items[0].", "item."), one.description) for one in error.violations
            ]
            raise InvalidRequest(named, error.reason) from error

    async def _enrich_valid(self, items: Sequence[pb.Item]) -> tuple[Enriched, list[pb.RefusedItem]]:
        """Describe the items that are good; those whose picture is refused are reported with the bad."""
        found = sorted_items(items)
        while found.writes:
            try:
                return await enrich(self._models, found.writes, _budget()), sorted(
                    found.refused, key=lambda refused: refused.index
                )
            except InvalidRequest as error:
                if not _take_out(found, items, error):
                    raise
        return Enriched([], [], False), sorted(found.refused, key=lambda refused: refused.index)

    async def ExportItems(
        self, request: pb.ExportItemsRequest, context: CallContext
    ) -> AsyncIterator[pb.ExportItemsResponse]:
        """Stream the catalogue, reading a page at a time."""
        async for page in self._store.all_items(current_request().tenant, page_size=_EXPORT_ITEMS):
            exported = map(_exported_message, page)
            for part in in_parts(exported, _EXPORT_ITEMS, pb.ExportedItem.ByteSize, _RESPONSE_BYTES):
                yield pb.ExportItemsResponse(items=part)


def _take_out(found: SortedItems, items: Sequence[pb.Item], error: InvalidRequest) -> bool:
    """Move the items that a model service refused to the refused ones; returns whether there were any."""
    bad: dict[int, list[FieldViolation]] = {}
    for violation in error.violations:
        match = _PLACE.match(violation.field)
        if match:
            description = FieldViolation(violation.field[match.end() :], violation.description)
            bad.setdefault(int(match.group(1)), []).append(description)
    for place in sorted(bad, reverse=True):
        index = found.places.pop(place)
        del found.writes[place]
        found.refused.append(refused_item(index, items[index], bad[place]))
    return bool(bad)


def _budget() -> float:
    """Return the seconds that the model services may take."""
    remaining = current_request().remaining_seconds()
    return (_DEFAULT_SECONDS if remaining is None else max(remaining, 0.0)) * _ENRICHMENT_SHARE


def _store_step(start: float) -> StepReport:
    return StepReport(
        step="store", service="orchestrator", milliseconds=(time.monotonic() - start) * 1000, outcome=STEP_OUTCOME_OK
    )


def _exported_message(record: ItemRecord) -> pb.ExportedItem:
    return pb.ExportedItem(
        item=item_message(record),
        text_vector=_vector(record.text_vector),
        picture_vector=_vector(record.picture_vector),
    )


def _vector(vector: ItemVector | None) -> Vector | None:
    return Vector(values=vector.values) if vector else None


def _check_item_id(item_id: str, field: str = "item_id") -> None:
    violations = Violations()
    violations.identifier(field, item_id)
    violations.raise_if_any()
