"""Short digests of ids and contents, for what a store remembers of an event without keeping the event."""

from __future__ import annotations

import hashlib
import struct

from services.orchestrator.store.records import EventWrite

_NUMBERS = struct.Struct("<q?d?d?dq")


def identifier_digest(identifier: str) -> bytes:
    """Return 16 bytes that stand for an id within a tenant."""
    return hashlib.blake2b(identifier.encode(), digest_size=16).digest()


def content_digest(event: EventWrite) -> bytes:
    """Return 8 bytes that two events with the same id share when they say the same.

    A time that the caller did not give takes no part: it differs each time the event is sent.
    """
    fraction, rating = event.watched_fraction, event.rating
    numbers = _NUMBERS.pack(
        event.kind,
        fraction is not None,
        fraction or 0.0,
        rating is not None,
        rating or 0.0,
        event.has_own_time,
        event.weight,
        event.event_time if event.has_own_time else 0,
    )
    words = f"{len(event.user_id)}:{event.user_id}{event.item_id}".encode()
    return hashlib.blake2b(numbers + words, digest_size=8).digest()
