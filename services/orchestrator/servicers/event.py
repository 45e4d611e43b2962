"""EventService: checks events and keeps them in the store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from marquee.entertainment.v1 import event_service_pb2 as pb
from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceServicer
from services.orchestrator.events.event_checks import checked_events
from services.orchestrator.store import Store
from services.orchestrator.store.page_tokens import decode_page_token, encode_page_token
from services.orchestrator.store.records import EventPosition, EventRecord
from services.runtime.errors import NotFound
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

_EXPORT_EVENTS = 1_000


class EventServicer(EventServiceServicer):
    """See event_service.proto for what the methods promise.

    Args:
        store: where events live.
        clock: wall-clock time in nanoseconds since 1970.
    """

    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    async def WriteEvents(self, request: pb.WriteEventsRequest, context: CallContext) -> pb.WriteEventsResponse:
        """Store events; they are on disk when this returns."""
        writes = checked_events(request.events, now=self._clock() // 1_000)
        counts = await self._store.write_events(current_request().tenant, writes)
        return pb.WriteEventsResponse(written_count=counts.written, duplicate_count=counts.duplicates)

    async def ListUserEvents(
        self, request: pb.ListUserEventsRequest, context: CallContext
    ) -> pb.ListUserEventsResponse:
        """Return a page of a user's events, newest first."""
        tenant = current_request().tenant
        violations = Violations()
        violations.identifier("user_id", request.user_id)
        limit = violations.size("page_size", request.page_size, default=100, maximum=1_000)
        violations.raise_if_any()
        scope = ("user events", tenant, request.user_id)
        token = request.page_token
        before = EventPosition(*decode_page_token(scope, token, (int, int))) if token else None
        # One more than asked tells whether a page follows.
        records = await self._store.list_user_events(tenant, request.user_id, limit + 1, before)
        if not records and before is None:
            raise NotFound("user_id", "user", request.user_id, "the user has no events yet; write one with WriteEvents")
        last = records[:limit][-1] if len(records) > limit else None
        return pb.ListUserEventsResponse(
            events=map(_event_message, records[:limit]),
            next_page_token=encode_page_token(scope, [last.event_time, last.sequence]) if last else "",
        )

    async def ExportEvents(
        self, request: pb.ExportEventsRequest, context: CallContext
    ) -> AsyncIterator[pb.ExportEventsResponse]:
        """Stream the events in the order of storage, reading a page at a time."""
        if request.after_sequence < 0:
            violations = Violations()
            violations.add("after_sequence", f"is {request.after_sequence}; it must not be negative (zero returns all)")
            violations.raise_if_any()
        pages = self._store.export_events(
            current_request().tenant, after_sequence=request.after_sequence, page_size=_EXPORT_EVENTS
        )
        async for page in pages:
            yield pb.ExportEventsResponse(events=map(_exported_message, page))


def _event_message(record: EventRecord) -> pb.Event:
    event = pb.Event(
        event_id=record.event_id,
        user_id=record.user_id,
        item_id=record.item_id,
        kind=pb.EventKind.ValueType(record.kind),
        watched_fraction=record.watched_fraction,
        rating=record.rating,
        custom_weight=record.weight if record.kind == pb.EVENT_KIND_CUSTOM else None,
    )
    event.event_time.FromMicroseconds(record.event_time)
    return event


def _exported_message(record: EventRecord) -> pb.ExportedEvent:
    event = pb.ExportedEvent(
        sequence=record.sequence, user_id=record.user_id, item_id=record.item_id, weight=record.weight
    )
    event.event_time.FromMicroseconds(record.event_time)
    return event
