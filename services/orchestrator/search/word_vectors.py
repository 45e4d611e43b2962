"""Static word vectors of the catalogue's texts, which fast search compares.

The store holds one vector a text, that of the sentence encoder. Static vectors cost microseconds, so each replica makes
its own: at a tenant's first fast search, and for items whose text has changed since.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.orchestrator.catalog.content_models import text_of, text_parts
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Floats, VectorColumn
from services.orchestrator.mesh import Mesh

MODEL = "word-embedding"
_SECONDS_A_CALL = 10.0
_CALLS_AT_ONCE = 2

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Held:
    snapshot: CatalogSnapshot
    column: VectorColumn


class WordVectors:
    """Vectors by tenant, made beside the calls that wait for them.

    Args:
        mesh: the model services.
        maximum_tenants: tenants whose vectors are kept; those used least recently go first. 100,000 items take 100 MB.
    """

    def __init__(self, mesh: Mesh, maximum_tenants: int = 16) -> None:
        self._mesh = mesh
        self._maximum_tenants = maximum_tenants
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._builds: dict[tuple[str, int], asyncio.Task[VectorColumn]] = {}

    async def get(self, tenant: str, snapshot: CatalogSnapshot) -> VectorColumn:
        """Return the vectors of a snapshot's texts.

        Callers that come while they are made wait for the same ones; they are finished even if all callers leave.

        Raises:
            MeshError: the text service did not answer.
        """
        held = self._held.get(tenant)
        if held is not None and held.snapshot.sequence == snapshot.sequence:
            self._held.move_to_end(tenant)
            return held.column
        key = (tenant, snapshot.sequence)
        build = self._builds.get(key)
        if build is None:
            build = asyncio.create_task(self._build(tenant, held, snapshot), name="word-vectors")
            self._builds[key] = build
            # Whoever asked may be gone when it fails.
            build.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(build)

    def forget(self, tenant: str) -> None:
        """Drop a tenant's vectors, because another version of the model answers now."""
        self._held.pop(tenant, None)

    async def close(self) -> None:
        """Stop what runs in the background."""
        builds = list(self._builds.values())
        for build in builds:
            build.cancel()
        await asyncio.gather(*builds, return_exceptions=True)

    async def _build(self, tenant: str, held: _Held | None, snapshot: CatalogSnapshot) -> VectorColumn:
        try:
            kept, missing = await asyncio.to_thread(_carried_over, held, snapshot)
            column = await self._embedded(snapshot, held, kept, missing)
            newest = self._held.get(tenant)
            if newest is None or newest.snapshot.sequence < snapshot.sequence:
                self._held[tenant] = _Held(snapshot, column)
                self._held.move_to_end(tenant)
            while len(self._held) > self._maximum_tenants:
                self._held.popitem(last=False)
            return column
        finally:
            del self._builds[tenant, snapshot.sequence]

    async def _embedded(
        self, snapshot: CatalogSnapshot, held: _Held | None, kept: Rows, missing: Sequence[int]
    ) -> VectorColumn:
        """Return the column: rows that are kept from before, and the missing ones embedded."""
        room = asyncio.Semaphore(_CALLS_AT_ONCE)
        model, version = (held.column.model, held.column.version) if held is not None else (MODEL, "")
        found: dict[int, Floats] = {}

        async def embed(rows: Sequence[int]) -> None:
            nonlocal model, version
            texts = [_text(snapshot, row) for row in rows]
            async with room:
                reply = await self._mesh.embed_texts(texts, _SECONDS_A_CALL, model=MODEL)
            model, version = reply.report.model, reply.report.version
            found.update(
                (row, np.frombuffer(vector.values, "<f4")) for row, vector in zip(rows, reply.vectors, strict=True)
            )

        try:
            async with asyncio.TaskGroup() as group:
                for rows in text_parts(missing):
                    group.create_task(embed(rows))
        except ExceptionGroup as failures:
            # One reason is all that a step report tells; the others are most likely the same.
            raise failures.exceptions[0] from failures
        width = next((len(vector) for vector in found.values()), held.column.values.shape[1] if held else 0)
        values = np.zeros((len(snapshot), width), np.float32)
        if held is not None:
            values[kept >= 0] = held.column.values[kept[kept >= 0]]
        for row, vector in found.items():
            values[row] = vector
        return VectorColumn(values, np.ones(len(snapshot), np.bool_), model, version)


def _carried_over(held: _Held | None, snapshot: CatalogSnapshot) -> tuple[Rows, list[int]]:
    """Return for each row the row that had the same text before, -1 for none, and the rows to embed."""
    kept = np.full(len(snapshot), -1, np.int64)
    if held is not None:
        before = held.snapshot
        for row, item in enumerate(snapshot.item_ids):
            old = before.rows.get(item, -1)
            if old >= 0 and _parts(before, old) == _parts(snapshot, row):
                kept[row] = old
    return kept, np.flatnonzero(kept < 0).tolist()


def _parts(snapshot: CatalogSnapshot, row: int) -> tuple[str, str, tuple[str, ...]]:
    return snapshot.titles[row], snapshot.descriptions[row], snapshot.tags[row]


def _text(snapshot: CatalogSnapshot, row: int) -> str:
    return text_of(*_parts(snapshot, row))
