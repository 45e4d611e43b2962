"""Stored items as callers see them."""

from __future__ import annotations

from marquee.entertainment.v1 import catalog_service_pb2 as pb
from services.orchestrator.store.records import EVERYWHERE, Availability, ItemRecord


def item_message(record: ItemRecord) -> pb.Item:
    """Return a stored item as callers see it."""
    item = pb.Item(
        item_id=record.item_id,
        title=record.title,
        description=record.description,
        tags=record.tags,
        maturity_age=record.maturity_age,
        release_year=record.release_year,
        picture_labels=record.picture_labels,
        picture_uri=record.picture_uri,
        locale=record.locale,
    )
    item.update_time.FromMicroseconds(record.update_time)
    if record.availability != EVERYWHERE:
        _fill_availability(item.availability, record.availability)
    return item


def _fill_availability(message: pb.Availability, availability: Availability) -> None:
    message.regions.extend(availability.regions)
    message.entitlements.extend(availability.entitlements)
    if availability.start_time is not None:
        message.start_time.FromMicroseconds(availability.start_time)
    if availability.end_time is not None:
        message.end_time.FromMicroseconds(availability.end_time)
