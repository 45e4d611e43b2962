"""Stored events as callers see them."""

from __future__ import annotations

from marquee.entertainment.v1 import event_service_pb2 as pb
from services.orchestrator.store.records import EventRecord


def event_message(record: EventRecord) -> pb.Event:
    """Return a stored event as its caller sent it; the attribution token is not kept, what it said is."""
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
