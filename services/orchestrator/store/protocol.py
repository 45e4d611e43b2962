"""The one interface to stored state; every implementation passes the same contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from services.orchestrator.store.records import (
    AttributedEvent,
    BundlePointer,
    CatalogState,
    ErasureReceipt,
    EventPosition,
    EventRecord,
    EventTotals,
    EventWrite,
    ItemChanges,
    ItemRecord,
    ItemStatistics,
    ItemWrite,
    Maintenance,
    PictureUpdate,
    RecommendationState,
    Retention,
    Route,
    Slate,
    StoredPolicy,
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

    async def replace_item(self, tenant: str, item: ItemWrite, *, expected_revision: int) -> bool:
        """Replace an item that exists; returns False, and changes nothing, when its revision is another one
        or it is gone.
        """
        ...

    async def item_changes(self, tenant: str, after_sequence: int, limit: int) -> ItemChanges | None:
        """Return what changed after a state of the catalogue; None when that cannot be told, because more
        than `limit` items changed or deletions of that time are forgotten: read the whole catalogue then.
        """
        ...

    async def delete_item(self, tenant: str, item_id: str) -> bool:
        """Delete one item and what waits for it; its events stay. Returns False when there is none."""
        ...

    async def catalog_state(self, tenant: str) -> CatalogState:
        """Return the number of items and the change counter."""
        ...

    def watch_catalog(self, on_change: Callable[[str], None]) -> None:
        """Have `on_change` called on the event loop with the tenant soon after its catalogue changed, on
        this replica or another. Only a hint: a call may be missed or come twice.
        """
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
        """Store events, all or none; those whose id was stored within the deduplication window, or was
        earlier in the batch, change nothing.
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

    # Users

    async def erase_user(self, tenant: str, user_id: str) -> ErasureReceipt:
        """Delete the user's events, slates and settings, take them out of the statistics, and remember when, so that
        events from before are dropped when they are sent again. Only digests of ids are kept.
        """
        ...

    async def set_user_settings(self, tenant: str, user_id: str, settings: bytes) -> None:
        """Store a user's settings, a serialised message, in place of those before; empty removes them."""
        ...

    async def user_settings(self, tenant: str, user_id: str) -> bytes:
        """Return a user's settings; empty when none are stored."""
        ...

    # Slate log

    async def write_slate(self, tenant: str, slate: Slate) -> None:
        """Store a list that is about to be served."""
        ...

    async def get_slate(self, tenant: str, slate_id: str) -> Slate | None:
        """Return a list of this tenant; None when there is none, also when it has expired."""
        ...

    async def list_user_slates(
        self, tenant: str, user_id: str, limit: int, before: tuple[int, str] | None = None
    ) -> list[Slate]:
        """Return up to `limit` of a user's lists that have not expired, newest first; with `before`, those
        older than that create time and id.
        """
        ...

    async def slates_between(self, tenant: str, start: int, end: int, after: str, limit: int) -> list[Slate]:
        """Return up to `limit` lists that were created from `start` until before `end` and have not expired, in the
        order of their ids, those after the id `after`; without their content.
        """
        ...

    async def attributed_events(self, tenant: str, start: int, after: int, limit: int) -> list[AttributedEvent]:
        """Return up to `limit` events that followed from lists and were received since `start`, in the order of
        storage, those after the sequence number `after`.
        """
        ...

    # Routes

    async def set_route(self, tenant: str, route: Route) -> Route:
        """Create or replace the route of a task; returns it with its update time."""
        ...

    async def list_routes(self, tenant: str) -> list[Route]:
        """Return all routes in the order of their tasks."""
        ...

    async def delete_route(self, tenant: str, task: str) -> bool:
        """Delete a route. Returns False when there is none."""
        ...

    # Moderation

    async def add_moderation_policy(self, tenant: str, name: str, policy: bytes, *, expected: int) -> StoredPolicy:
        """Add the next version of a policy; POLICY_CHANGED unless `expected` is 0 or the newest version."""
        ...

    async def moderation_policy(self, tenant: str, name: str, version: int) -> StoredPolicy | None:
        """Return one version of a policy, with 0 the newest, or None."""
        ...

    async def moderation_policies(self, tenant: str, limit: int) -> list[StoredPolicy]:
        """Return the newest versions of all policies, newest first."""
        ...

    # Recommendation

    async def recommendation_state(self, tenant: str, user_id: str, history_limit: int) -> RecommendationState:
        """Return all that a recommendation needs to know, in one read."""
        ...

    async def bundle_pointer(self, tenant: str) -> BundlePointer:
        """Return which bundle serves."""
        ...

    async def bundle_tenants(self) -> list[str]:
        """Return the tenants that a bundle serves, or that have routes, sorted."""
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

    async def maintain(self, retention: Retention) -> Maintenance:
        """Delete what has outlived its time: expired slates, receipts outside the deduplication window,
        events past their retention, forgotten deletions. A bounded piece a call; prepares what is needed soon.
        """
        ...

    async def close(self) -> None:
        """Finish the writes that wait and give everything back; further calls fail with STORE_CLOSED."""
        ...
