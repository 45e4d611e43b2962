# ruff: noqa: D102  # the protocol says what each method does
"""The `Store` on one PostgreSQL database, which any number of replicas share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

from services.orchestrator.store.migrations.upgrade import upgrade_postgres
from services.orchestrator.store.postgres import (
    attribution,
    bundles,
    counters,
    event_batches,
    item_writes,
    moderation_policies,
    partitions,
    recommendation,
    routes,
    slates,
    users,
    waiting,
)
from services.orchestrator.store.postgres import events as event_reads
from services.orchestrator.store.postgres import items as item_reads
from services.orchestrator.store.postgres import settings as user_settings
from services.orchestrator.store.postgres.connections import Server, check_server, failure
from services.orchestrator.store.postgres.event_batches import Batch
from services.orchestrator.store.postgres.failures import MissingPartition
from services.orchestrator.store.postgres.groups import GroupCommit
from services.orchestrator.store.postgres.maintenance import maintain
from services.orchestrator.store.postgres.notifications import CatalogListener
from services.orchestrator.store.postgres.pool import DRIVER_ERRORS, ConnectionPool
from services.orchestrator.store.postgres.transactions import Transactions
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


class PostgresStore:
    """See `Store` for what the methods promise.

    One promise is weaker here: a write whose commit was sent when the database vanished for longer than the wait fails
    although it may have been done; its message says so. Its repetition is harmless, except that the events of a batch
    may then be counted as duplicates of themselves.

    Attributes:
        event_groups, slate_groups: group commit; the counters show how many calls shared a transaction.
    """

    def __init__(self, server: Server, connections: int, wait_seconds: float) -> None:
        writers, readers, listener = max(2, connections // 3), max(1, connections // 5), 1
        self._server = server
        self._writes = ConnectionPool(server, writers, wait_seconds)
        self._reads = ConnectionPool(server, readers, wait_seconds)
        # The reads that each recommendation makes.
        self._users = ConnectionPool(
            replace(server, plan_once=True), max(1, connections - writers - readers - listener), wait_seconds
        )
        self._transactions = Transactions(self._writes)
        # A list that is about to be served waits behind no write that waits for a tenant's lock.
        self._slate_transactions = Transactions(self._reads)
        self._listener = CatalogListener(server)
        self.event_groups: GroupCommit[Batch, WriteCounts] = GroupCommit(self._commit_events)
        self.slate_groups: GroupCommit[Slate, None] = GroupCommit(self._commit_slates)

    @classmethod
    async def open(cls, server: Server, *, connections: int, wait_seconds: float) -> PostgresStore:
        """Connect and bring the schema up to date.

        Raises:
            InvalidAddress: the URL names no database.
            ServiceError: the database cannot be reached or used.
        """
        connection = await server.connect(wait_seconds)
        try:
            await check_server(connection)
            await upgrade_postgres(partial(server.connect_once, wait_seconds, patient=True))
        except DRIVER_ERRORS as error:
            raise failure(error, "the migration") from error
        finally:
            connection.terminate()
        store = cls(server, connections, wait_seconds)
        try:
            await store._transactions.run(partitions.prepare)
        except BaseException:
            await store.close()
            raise
        return store

    # Catalogue

    async def upsert_items(self, tenant: str, items: Sequence[ItemWrite]) -> UpsertCounts:
        return await self._transactions.run(lambda write: item_writes.upsert(write, tenant, items))

    async def get_item(self, tenant: str, item_id: str) -> ItemRecord | None:
        return await self._reads.run(lambda read: item_reads.get(read, tenant, item_id))

    async def list_items(self, tenant: str, after: str, limit: int, *, with_vectors: bool = False) -> list[ItemRecord]:
        return await self._reads.run(lambda read: item_reads.page(read, tenant, after, limit, with_vectors))

    async def all_items(self, tenant: str, *, page_size: int) -> AsyncIterator[list[ItemRecord]]:
        after = ""
        while page := await self.list_items(tenant, after, page_size, with_vectors=True):
            yield page
            after = page[-1].item_id

    async def replace_item(self, tenant: str, item: ItemWrite, *, expected_revision: int) -> bool:
        return await self._transactions.run(lambda write: item_writes.replace(write, tenant, item, expected_revision))

    async def item_changes(self, tenant: str, after_sequence: int, limit: int) -> ItemChanges | None:
        return await self._reads.run(lambda read: item_reads.changes(read, tenant, after_sequence, limit))

    async def delete_item(self, tenant: str, item_id: str) -> bool:
        return await self._transactions.run(lambda write: item_reads.delete(write, tenant, item_id))

    async def catalog_state(self, tenant: str) -> CatalogState:
        return await self._reads.run(lambda read: counters.catalog_state(read, tenant))

    def watch_catalog(self, on_change: Callable[[str], None]) -> None:
        self._listener.add(on_change)

    # What waits for a model service

    async def waiting_texts(self, limit: int) -> list[WaitingText]:
        return await self._reads.run(lambda read: waiting.texts(read, limit))

    async def set_text_vectors(self, updates: Sequence[TextVectorUpdate]) -> int:
        return await self._transactions.run(lambda write: waiting.set_text_vectors(write, updates))

    async def waiting_pictures(self, limit: int) -> list[WaitingPicture]:
        return await self._reads.run(lambda read: waiting.pictures(read, limit))

    async def set_pictures(self, updates: Sequence[PictureUpdate]) -> int:
        return await self._transactions.run(lambda write: waiting.set_pictures(write, updates))

    # Events

    async def write_events(self, tenant: str, events: Sequence[EventWrite]) -> WriteCounts:
        return await self.event_groups.write(tenant, Batch.of(events), len(events))

    async def list_user_events(
        self, tenant: str, user_id: str, limit: int, before: EventPosition | None = None
    ) -> list[EventRecord]:
        return await self._users.run(lambda read: event_reads.of_user(read, tenant, user_id, limit, before))

    async def export_events(
        self, tenant: str, *, after_sequence: int, page_size: int
    ) -> AsyncIterator[list[EventRecord]]:
        last = (await self.event_totals(tenant)).maximum_sequence
        while page := await self._reads.run(
            partial(event_reads.stored_between, tenant=tenant, after=after_sequence, last=last, limit=page_size)
        ):
            yield page
            after_sequence = page[-1].sequence

    async def event_totals(self, tenant: str) -> EventTotals:
        return await self._reads.run(lambda read: counters.event_totals(read, tenant))

    async def user_history(self, tenant: str, user_id: str, limit: int) -> list[UserEvent]:
        return await self._users.run(lambda read: recommendation.history(read, tenant, user_id, limit))

    async def item_statistics(self, tenant: str) -> list[ItemStatistics]:
        return await self._reads.run(lambda read: event_reads.statistics(read, tenant))

    # Users

    async def erase_user(self, tenant: str, user_id: str) -> ErasureReceipt:
        run = self._transactions.run
        erasure = await run(lambda write: users.begin(write, tenant, user_id))
        event_count = 0
        while piece := await run(lambda write: users.erase_events(write, tenant, user_id, erasure.last_sequence)):
            event_count += piece
        slate_count = await run(lambda write: users.erase_slates(write, tenant, user_id))
        return ErasureReceipt(event_count, slate_count, erasure.erase_time)

    async def set_user_settings(self, tenant: str, user_id: str, settings: bytes) -> None:
        await self._transactions.run(lambda write: user_settings.put(write, tenant, user_id, settings))

    async def user_settings(self, tenant: str, user_id: str) -> bytes:
        return await self._reads.run(lambda read: user_settings.get(read, tenant, user_id))

    # Slate log

    async def write_slate(self, tenant: str, slate: Slate) -> None:
        await self.slate_groups.write(tenant, slate)

    async def get_slate(self, tenant: str, slate_id: str) -> Slate | None:
        return await self._reads.run(lambda read: slates.get(read, tenant, slate_id))

    async def list_user_slates(
        self, tenant: str, user_id: str, limit: int, before: tuple[int, str] | None = None
    ) -> list[Slate]:
        return await self._reads.run(lambda read: slates.of_user(read, tenant, user_id, limit, before))

    async def slates_between(self, tenant: str, start: int, end: int, after: str, limit: int) -> list[Slate]:
        return await self._reads.run(lambda read: attribution.slates_between(read, tenant, start, end, after, limit))

    async def attributed_events(self, tenant: str, start: int, after: int, limit: int) -> list[AttributedEvent]:
        return await self._reads.run(lambda read: attribution.attributed_events(read, tenant, start, after, limit))

    # Routes

    async def set_route(self, tenant: str, route: Route) -> Route:
        return await self._transactions.run(lambda write: routes.put(write, tenant, route))

    async def list_routes(self, tenant: str) -> list[Route]:
        return await self._reads.run(lambda read: routes.of_tenant(read, tenant))

    async def delete_route(self, tenant: str, task: str) -> bool:
        return await self._transactions.run(lambda write: routes.delete(write, tenant, task))

    # Recommendation

    async def recommendation_state(self, tenant: str, user_id: str, history_limit: int) -> RecommendationState:
        return await self._users.run(lambda read: recommendation.state(read, tenant, user_id, history_limit))

    async def bundle_pointer(self, tenant: str) -> BundlePointer:
        return await self._reads.run(lambda read: bundles.pointer(read, tenant))

    async def bundle_tenants(self) -> list[str]:
        return await self._reads.run(bundles.tenants)

    async def set_bundle(self, tenant: str, version: str, *, expected: str) -> BundlePointer:
        return await self._transactions.run(lambda write: bundles.activate(write, tenant, version, expected))

    async def rollback_bundle(self, tenant: str, *, expected: str) -> BundlePointer:
        return await self._transactions.run(lambda write: bundles.roll_back(write, tenant, expected))

    async def add_moderation_policy(self, tenant: str, name: str, policy: bytes, *, expected: int) -> StoredPolicy:
        return await self._transactions.run(
            lambda write: moderation_policies.add(write, tenant, name, policy, expected)
        )

    async def moderation_policy(self, tenant: str, name: str, version: int) -> StoredPolicy | None:
        return await self._reads.run(lambda read: moderation_policies.one(read, tenant, name, version))

    async def moderation_policies(self, tenant: str, limit: int) -> list[StoredPolicy]:
        return await self._reads.run(lambda read: moderation_policies.newest(read, tenant, limit))

    async def maintain(self, retention: Retention) -> Maintenance:
        try:
            return await maintain(self._server, self._transactions, retention)
        except DRIVER_ERRORS as error:
            raise failure(error, "maintenance") from error

    async def close(self) -> None:
        await self._listener.close()
        await self.event_groups.close()
        await self.slate_groups.close()
        await self._users.close()
        await self._reads.close()
        await self._writes.close()

    # Group commit

    async def _commit_events(self, tenant: str, batches: Sequence[Batch]) -> Sequence[WriteCounts]:
        work = partial(event_batches.write, tenant=tenant, batches=batches)
        try:
            return await self._transactions.run(work)
        except MissingPartition:  # a month began without any process around to see it coming
            await self._transactions.run(partitions.prepare)
            return await self._transactions.run(work)

    async def _commit_slates(self, tenant: str, written: Sequence[Slate]) -> Sequence[None]:
        return await self._slate_transactions.run(partial(slates.write, tenant=tenant, slates=written))
