"""What a user began and did not finish."""

from __future__ import annotations

from collections.abc import Sequence

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_PLAY
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.store.records import EventRecord

LEAST, MOST = 0.03, 0.95
"""Less was a look, more is the end: credits are rarely watched."""
NEWEST_EVENTS = 1_000


def started_items(events: Sequence[EventRecord], snapshot: CatalogSnapshot, allowed: Mask) -> list[pb.StartedItem]:
    """Return the items whose newest play stopped in the middle, newest first.

    Args:
        events: the user's events, newest first.
        snapshot: the catalogue.
        allowed: bool[N], items that may be shown; that one was seen is no reason against it here.
    """
    newest: dict[str, float] = {}
    for event in events:
        if event.kind == EVENT_KIND_PLAY and event.watched_fraction is not None:
            newest.setdefault(event.item_id, event.watched_fraction)
    return [
        pb.StartedItem(item_id=item_id, title=snapshot.titles[row], tags=snapshot.tags[row], watched_fraction=watched)
        for item_id, watched in newest.items()
        if LEAST <= watched <= MOST and (row := snapshot.rows.get(item_id)) is not None and allowed[row]
    ]
