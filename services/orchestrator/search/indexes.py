"""Keeps the index of each tenant that is searched, and lets it follow the catalogue."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.search.index import LexicalIndex, build_index, follow
from services.orchestrator.store import Store
from services.runtime.errors import ServiceError
from services.runtime.logs import get_logger

_logger = get_logger(__name__)


class SearchIndexes:
    """Indexes by tenant, made in a thread beside the event loop.

    Args:
        maximum_tenants: indexes kept; the one that was used least recently goes first.
    """

    def __init__(self, maximum_tenants: int = 64) -> None:
        self._maximum_tenants = maximum_tenants
        self._held: OrderedDict[str, LexicalIndex] = OrderedDict()
        self._builds: dict[str, asyncio.Task[LexicalIndex]] = {}
        self._warming: asyncio.Task[None] | None = None

    async def get(self, tenant: str, snapshot: CatalogSnapshot) -> LexicalIndex:
        """Return the index of a snapshot, or of a later one.

        Callers that come while one is being made wait for the same one; it is finished even if they all leave.
        """
        while True:
            held = self._held.get(tenant)
            if held is not None and held.snapshot.sequence >= snapshot.sequence:
                self._held.move_to_end(tenant)
                return held
            build = self._builds.get(tenant)
            if build is None:
                build = asyncio.create_task(self._build(tenant, held, snapshot))
                self._builds[tenant] = build
            await asyncio.shield(build)

    def warm(self, store: Store, snapshots: CatalogSnapshots) -> None:
        """Index the catalogues of the tenants that have a bundle, in the background: the first search need not wait."""
        self._warming = asyncio.create_task(self._warm(store, snapshots), name="search-index")

    async def close(self) -> None:
        """Stop what runs in the background."""
        tasks: list[asyncio.Task[LexicalIndex] | asyncio.Task[None]] = [*self._builds.values()]
        if self._warming is not None:
            tasks.append(self._warming)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, tenant: str, held: LexicalIndex | None, snapshot: CatalogSnapshot) -> LexicalIndex:
        start = time.monotonic()
        try:
            made = await self._follow(tenant, held, snapshot)
            if made is None:
                made = await asyncio.to_thread(build_index, snapshot)
            self._held[tenant] = made
            while len(self._held) > self._maximum_tenants:
                self._held.popitem(last=False)
            _logger.debug(
                "search index",
                tenant=tenant,
                sequence=snapshot.sequence,
                items=len(snapshot),
                segments=len(made.segments),
                megabytes=round(made.size_bytes / 1e6, 1),
                milliseconds=round((time.monotonic() - start) * 1000, 1),
            )
            return made
        finally:
            del self._builds[tenant]

    async def _follow(self, tenant: str, held: LexicalIndex | None, snapshot: CatalogSnapshot) -> LexicalIndex | None:
        if held is None:
            return None
        try:
            return await asyncio.to_thread(follow, held, snapshot)
        except Exception:
            # A search must not wait for somebody to find out why: indexing everything is always right.
            _logger.exception("changes could not be indexed; the whole catalogue is", tenant=tenant)
            return None

    async def _warm(self, store: Store, snapshots: CatalogSnapshots) -> None:
        try:
            for tenant in (await store.bundle_tenants())[: self._maximum_tenants]:
                state = await store.catalog_state(tenant)
                await self.get(tenant, await snapshots.get(tenant, state.sequence))
        except ServiceError as error:
            _logger.warning("the catalogue is not indexed ahead", reason=error.reason)
