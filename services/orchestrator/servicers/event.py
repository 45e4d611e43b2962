"""EventService: checks events and keeps them in the store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence

from marquee.entertainment.v1 import event_service_pb2 as pb
from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceServicer
from services.orchestrator.events.event_checks import EventChecks
from services.orchestrator.events.event_messages import event_message
from services.orchestrator.store import Store
from services.orchestrator.store.page_tokens import decode_page_token, encode_page_token
from services.orchestrator.store.records import EventPosition, EventRecord, WriteCounts
from services.runtime.errors import NotFound, ServiceError
from services.runtime.observability.accumulators import Counters
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

_EXPORT_EVENTS = 1_000
_REPORTED_CONFLICTS = 100


class EventServicer(EventServiceServicer):
    """See event_service.proto for what the methods promise.

    Args:
        store: where events live.
        checks: limits of events.
        clock: wall-clock time in nanoseconds since 1970.
        acknowledged: counts the events by what became of them: written, duplicate, conflicting, erased.
    """

    def __init__(
        self,
        store: Store,
        checks: EventChecks,
        clock: Callable[[], int] = time.time_ns,
        acknowledged: Counters | None = None,
    ) -> None:
        self._store = store
        self._checks = checks
        self._clock = clock
        self._acknowledged = acknowledged or Counters()

    async def WriteEvents(self, request: pb.WriteEventsRequest, context: CallContext) -> pb.WriteEventsResponse:
        """Store events; they are on disk when this returns."""
        counts = await self._write(request.events)
        return pb.WriteEventsResponse(
            written_count=counts.written,
            duplicate_count=counts.duplicates,
            conflicting_event_ids=counts.conflicts[:_REPORTED_CONFLICTS],
            erased_count=counts.erased,
        )

    async def StreamEvents(
        self, request_iterator: AsyncIterator[pb.StreamEventsRequest], context: CallContext
    ) -> pb.StreamEventsResponse:
        """Store batches as they arrive; the next one is read when the last one is on disk."""
        answer = pb.StreamEventsResponse()
        try:
            async for request in request_iterator:
                counts = await self._write(request.events, f"batches[{answer.batch_count}].")
                answer.batch_count += 1
                answer.written_count += counts.written
                answer.duplicate_count += counts.duplicates
                answer.erased_count += counts.erased
                room = _REPORTED_CONFLICTS - len(answer.conflicting_event_ids)
                answer.conflicting_event_ids.extend(counts.conflicts[:room])
        except ServiceError as error:
            error.metadata["stored_batches"] = str(answer.batch_count)
            raise
        return answer

    async def _write(self, events: Sequence[pb.Event], prefix: str = "") -> WriteCounts:
        tenant = current_request().tenant
        writes = self._checks.checked(tenant, events, self._clock() // 1_000, prefix)
        counts = await self._store.write_events(tenant, writes)
        for outcome, count in (
            ("written", counts.written),
            ("duplicate", counts.duplicates - len(counts.conflicts)),
            ("conflicting", len(counts.conflicts)),
            ("erased", counts.erased),
        ):
            if count:
                self._acknowledged.add(outcome, count)
        return counts

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
            events=map(event_message, records[:limit]),
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


def _exported_message(record: EventRecord) -> pb.ExportedEvent:
    event = pb.ExportedEvent(
        sequence=record.sequence, user_id=record.user_id, item_id=record.item_id, weight=record.weight
    )
    event.event_time.FromMicroseconds(record.event_time)
    return event
