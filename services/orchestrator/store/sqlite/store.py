# ruff: noqa: D102  # the protocol says what each method does
"""The `Store` on one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from services.orchestrator.store.migrations.upgrade import upgrade_sqlite
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
from services.orchestrator.store.sqlite import (
    attribution,
    bundles,
    counters,
    maintenance,
    moderation_policies,
    recommendation,
    routes,
    slates,
    users,
    waiting,
)
from services.orchestrator.store.sqlite import events as event_statements
from services.orchestrator.store.sqlite import items as item_statements
from services.orchestrator.store.sqlite import settings as user_settings
from services.orchestrator.store.sqlite.connection import open_connection, prepare_file
from services.orchestrator.store.sqlite.failures import store_error
from services.orchestrator.store.sqlite.readers import ReaderPool
from services.orchestrator.store.sqlite.writer import GroupCommitWriter


class SqliteStore:
    """See `Store` for what the methods promise.

    Attributes:
        writer: the one thread that writes; its counters show how many calls shared a commit.
        readers: the threads that read.
    """

    def __init__(self, writer: GroupCommitWriter, readers: ReaderPool) -> None:
        self.writer = writer
        self.readers = readers
        self._watchers: list[Callable[[str], None]] = []

    @classmethod
    def open(cls, path: Path, *, busy_timeout_seconds: float, readers: int) -> SqliteStore:
        """Open the file, create it when missing, and bring its schema up to date. Blocks.

        Raises:
            ServiceError: the file cannot be opened or is no database.
        """
        try:
            prepare_file(path, busy_timeout_seconds)
            upgrade_sqlite(path)
            connection = open_connection(path, busy_timeout_seconds)
        except sqlite3.Error as error:
            raise store_error(error) from error
        return cls(
            GroupCommitWriter(connection),
            ReaderPool(partial(open_connection, path, busy_timeout_seconds), readers),
        )

    async def upsert_items(self, tenant: str, items: Sequence[ItemWrite]) -> UpsertCounts:
        counts = await self.writer.write(lambda connection: item_statements.upsert(connection, tenant, items, _now()))
        self._changed(tenant)
        return counts

    async def get_item(self, tenant: str, item_id: str) -> ItemRecord | None:
        return await self.readers.read(lambda connection: item_statements.get(connection, tenant, item_id))

    async def list_items(self, tenant: str, after: str, limit: int, *, with_vectors: bool = False) -> list[ItemRecord]:
        return await self.readers.read(
            lambda connection: item_statements.page(connection, tenant, after, limit, with_vectors)
        )

    async def all_items(self, tenant: str, *, page_size: int) -> AsyncIterator[list[ItemRecord]]:
        after = ""
        while page := await self.list_items(tenant, after, page_size, with_vectors=True):
            yield page
            after = page[-1].item_id

    async def delete_item(self, tenant: str, item_id: str) -> bool:
        found = await self.writer.write(lambda connection: item_statements.delete(connection, tenant, item_id, _now()))
        self._changed(tenant)
        return found

    async def replace_item(self, tenant: str, item: ItemWrite, *, expected_revision: int) -> bool:
        replaced = await self.writer.write(
            lambda connection: item_statements.replace(connection, tenant, item, expected_revision, _now())
        )
        self._changed(tenant)
        return replaced

    async def item_changes(self, tenant: str, after_sequence: int, limit: int) -> ItemChanges | None:
        return await self.readers.read(
            lambda connection: item_statements.changes(connection, tenant, after_sequence, limit)
        )

    def watch_catalog(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def catalog_state(self, tenant: str) -> CatalogState:
        return await self.readers.read(lambda connection: counters.catalog_state(connection, tenant))

    async def waiting_texts(self, limit: int) -> list[WaitingText]:
        return await self.readers.read(lambda connection: waiting.texts(connection, limit))

    async def set_text_vectors(self, updates: Sequence[TextVectorUpdate]) -> int:
        count = await self.writer.write(lambda connection: waiting.set_text_vectors(connection, updates))
        self._changed(*{update.tenant for update in updates})
        return count

    async def waiting_pictures(self, limit: int) -> list[WaitingPicture]:
        return await self.readers.read(lambda connection: waiting.pictures(connection, limit))

    async def set_pictures(self, updates: Sequence[PictureUpdate]) -> int:
        count = await self.writer.write(lambda connection: waiting.set_pictures(connection, updates))
        self._changed(*{update.tenant for update in updates})
        return count

    async def write_events(self, tenant: str, events: Sequence[EventWrite]) -> WriteCounts:
        return await self.writer.write(lambda connection: event_statements.write(connection, tenant, events, _now()))

    async def list_user_events(
        self, tenant: str, user_id: str, limit: int, before: EventPosition | None = None
    ) -> list[EventRecord]:
        return await self.readers.read(
            lambda connection: event_statements.of_user(connection, tenant, user_id, limit, before)
        )

    async def export_events(
        self, tenant: str, *, after_sequence: int, page_size: int
    ) -> AsyncIterator[list[EventRecord]]:
        last = (await self.event_totals(tenant)).maximum_sequence
        while page := await self.readers.read(
            partial(
                event_statements.stored_between,
                tenant=tenant,
                after=after_sequence,
                last=last,
                limit=page_size,
            )
        ):
            yield page
            after_sequence = page[-1].sequence

    async def event_totals(self, tenant: str) -> EventTotals:
        return await self.readers.read(lambda connection: counters.event_totals(connection, tenant))

    async def user_history(self, tenant: str, user_id: str, limit: int) -> list[UserEvent]:
        return await self.readers.read(lambda connection: recommendation.history(connection, tenant, user_id, limit))

    async def item_statistics(self, tenant: str) -> list[ItemStatistics]:
        return await self.readers.read(lambda connection: event_statements.statistics(connection, tenant))

    async def erase_user(self, tenant: str, user_id: str) -> ErasureReceipt:
        write = self.writer.write
        erasure = await write(lambda connection: users.begin(connection, tenant, user_id, _now()))
        event_count = 0
        while piece := await write(
            lambda connection: users.erase_events(connection, tenant, user_id, erasure.last_sequence)
        ):
            event_count += piece
        slate_count = await write(lambda connection: users.erase_slates(connection, tenant, user_id))
        return ErasureReceipt(event_count, slate_count, erasure.erase_time)

    async def set_user_settings(self, tenant: str, user_id: str, settings: bytes) -> None:
        await self.writer.write(lambda connection: user_settings.put(connection, tenant, user_id, settings, _now()))

    async def user_settings(self, tenant: str, user_id: str) -> bytes:
        return await self.readers.read(lambda connection: user_settings.get(connection, tenant, user_id))

    async def write_slate(self, tenant: str, slate: Slate) -> None:
        await self.writer.write(lambda connection: slates.write(connection, tenant, slate))

    async def get_slate(self, tenant: str, slate_id: str) -> Slate | None:
        return await self.readers.read(lambda connection: slates.get(connection, tenant, slate_id, _now()))

    async def list_user_slates(
        self, tenant: str, user_id: str, limit: int, before: tuple[int, str] | None = None
    ) -> list[Slate]:
        return await self.readers.read(
            lambda connection: slates.of_user(connection, tenant, user_id, limit, before, _now())
        )

    async def slates_between(self, tenant: str, start: int, end: int, after: str, limit: int) -> list[Slate]:
        return await self.readers.read(
            lambda connection: attribution.slates_between(connection, tenant, start, end, after, limit, _now())
        )

    async def attributed_events(self, tenant: str, start: int, after: int, limit: int) -> list[AttributedEvent]:
        return await self.readers.read(
            lambda connection: attribution.attributed_events(connection, tenant, start, after, limit)
        )

    async def set_route(self, tenant: str, route: Route) -> Route:
        return await self.writer.write(lambda connection: routes.put(connection, tenant, route, _now()))

    async def list_routes(self, tenant: str) -> list[Route]:
        return await self.readers.read(lambda connection: routes.of_tenant(connection, tenant))

    async def delete_route(self, tenant: str, task: str) -> bool:
        return await self.writer.write(lambda connection: routes.delete(connection, tenant, task))

    async def add_moderation_policy(self, tenant: str, name: str, policy: bytes, *, expected: int) -> StoredPolicy:
        return await self.writer.write(
            lambda connection: moderation_policies.add(connection, tenant, name, policy, expected, _now())
        )

    async def moderation_policy(self, tenant: str, name: str, version: int) -> StoredPolicy | None:
        return await self.readers.read(lambda connection: moderation_policies.one(connection, tenant, name, version))

    async def moderation_policies(self, tenant: str, limit: int) -> list[StoredPolicy]:
        return await self.readers.read(lambda connection: moderation_policies.newest(connection, tenant, limit))

    async def maintain(self, retention: Retention) -> Maintenance:
        return await self.writer.write(lambda connection: maintenance.maintain(connection, retention, _now()))

    async def recommendation_state(self, tenant: str, user_id: str, history_limit: int) -> RecommendationState:
        return await self.readers.read(
            lambda connection: recommendation.state(connection, tenant, user_id, history_limit)
        )

    async def bundle_pointer(self, tenant: str) -> BundlePointer:
        return await self.readers.read(lambda connection: bundles.pointer(connection, tenant))

    async def bundle_tenants(self) -> list[str]:
        return await self.readers.read(bundles.tenants)

    async def set_bundle(self, tenant: str, version: str, *, expected: str) -> BundlePointer:
        return await self.writer.write(
            lambda connection: bundles.activate(connection, tenant, version, expected, _now())
        )

    async def rollback_bundle(self, tenant: str, *, expected: str) -> BundlePointer:
        return await self.writer.write(lambda connection: bundles.roll_back(connection, tenant, expected, _now()))

    async def close(self) -> None:
        await asyncio.to_thread(self.readers.close)
        await asyncio.to_thread(self.writer.close)

    def _changed(self, *tenants: str) -> None:
        for watcher in self._watchers:
            for tenant in tenants:
                watcher(tenant)


def _now() -> int:
    return time.time_ns() // 1000
