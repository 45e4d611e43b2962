"""The one interface to stored state; every implementation passes the same contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from services.orchestrator.store.records import (
    BundlePointer,
    CatalogState,
    EventPosition,
    EventRecord,
    EventTotals,
    EventWrite,
    ItemRecord,
    ItemStatistics,
    ItemWrite,
    PictureUpdate,
    RecommendationState,
    TextVectorUpdate,
    UpsertCounts,
    UserEvent,
    WaitingPicture,
    WaitingText,
    WriteCounts,
)


class Store(Protocol):
    """State of all tenants.

    A write is on disk when its call returns. A call that fails has changed nothing; one that is cancelled
    may have. Every method raises `ServiceError`: UNAVAILABLE when trying again later may help (STORE_BUSY,
    STORE_CLOSED …), RESOURCE_EXHAUSTED when the disk is full (STORE_FULL) or too many writes wait
    (STORE_OVERLOADED).
    """

    # Catalogue

    async def upsert_items(self, tenant: str, items: Sequence[ItemWrite]) -> UpsertCounts:
        """Create items, or replace them where the id exists, all or none; ids must not repeat."""
        ...

    async def get_item(self, tenant: str, item_id: str) -> ItemRecord | None:
        """Return one item with its vectors, or None."""
        ...

    async def list_items(self, tenant: str, after: str, limit: int, *, with_vectors: bool = False) -> list[ItemRecord]:
        """Return up to `limit` items whose id is greater than `after`, in the order of their ids (by UTF-8
        bytes).
        """
        ...

    def all_items(self, tenant: str, *, page_size: int) -> AsyncIterator[list[ItemRecord]]:
        """Iterate over the whole catalogue with vectors, in the order of the ids, a page at a time."""
        ...

    async def delete_item(self, tenant: str, item_id: str) -> bool:
        """Delete one item and what waits for it; its events stay. Returns False when there is none."""
        ...

    async def catalog_state(self, tenant: str) -> CatalogState:
        """Return the number of items and the change counter."""
        ...

    # What waits for a model service, over all tenants

    async def waiting_texts(self, limit: int) -> list[WaitingText]:
        """Return up to `limit` items without a text vector."""
        ...

    async def set_text_vectors(self, updates: Sequence[TextVectorUpdate]) -> int:
        """Store vectors of waiting texts; returns how many items changed."""
        ...

    async def waiting_pictures(self, limit: int) -> list[WaitingPicture]:
        """Return up to `limit` pictures that are not described."""
        ...

    async def set_pictures(self, updates: Sequence[PictureUpdate]) -> int:
        """Store what waiting pictures show and delete their bytes; returns how many items changed."""
        ...

    # Events

    async def write_events(self, tenant: str, events: Sequence[EventWrite]) -> WriteCounts:
        """Store events, all or none; those whose id is stored already, or was earlier in the batch, change
        nothing.
        """
        ...

    async def list_user_events(
        self, tenant: str, user_id: str, limit: int, before: EventPosition | None = None
    ) -> list[EventRecord]:
        """Return up to `limit` of a user's events, newest first; with `before`, only those older than that
        position.
        """
        ...

    def export_events(self, tenant: str, *, after_sequence: int, page_size: int) -> AsyncIterator[list[EventRecord]]:
        """Iterate over the events stored when the call starts, in the order of storage, a page at a time."""
        ...

    async def event_totals(self, tenant: str) -> EventTotals:
        """Return how many events are stored and the highest sequence number."""
        ...

    async def user_history(self, tenant: str, user_id: str, limit: int) -> list[UserEvent]:
        """Return the newest events of a user up to `limit`, oldest first."""
        ...

    async def item_statistics(self, tenant: str) -> list[ItemStatistics]:
        """Return the statistics of every item that has events, in the catalogue or not."""
        ...

    # Recommendation

    async def recommendation_state(self, tenant: str, user_id: str, history_limit: int) -> RecommendationState:
        """Return all that a recommendation needs to know, in one read."""
        ...

    async def bundle_pointer(self, tenant: str) -> BundlePointer:
        """Return which bundle serves."""
        ...

    async def set_bundle(self, tenant: str, version: str, *, expected: str) -> BundlePointer:
        """Make `version` serve, provided `expected` serves now (empty for none); the one that served becomes
        the previous one.

        Raises:
            ServiceError: ABORTED with reason BUNDLE_CHANGED when another bundle serves.
        """
        ...

    async def rollback_bundle(self, tenant: str, *, expected: str) -> BundlePointer:
        """Swap the serving and the previous bundle, provided `expected` serves now.

        Raises:
            ServiceError: ABORTED with reason BUNDLE_CHANGED when another bundle serves; FAILED_PRECONDITION
                with reason NO_PREVIOUS_BUNDLE when there is none to go back to.
        """
        ...

    async def close(self) -> None:
        """Finish the writes that wait and give everything back; further calls fail with STORE_CLOSED."""
        ...
