"""Items of the catalogue whose pictures are like a picture or clip."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import media_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.content.media.features import SIMILAR
from services.orchestrator.recommend.steps import FALLBACKS, StepLog
from services.orchestrator.store import Store
from services.orchestrator.store.records import ItemVector
from services.runtime.errors import ServiceError

# Comparing so many vectors of 1,280 numbers takes about a millisecond.
_INLINE_ITEMS = 2_000


class OtherVectors(Exception):
    """The catalogue's pictures were described by another model or version, so that nothing can be compared."""


@dataclass(frozen=True)
class SimilarPictures:
    """Compares a vector with those of a tenant's items."""

    store: Store
    snapshots: CatalogSnapshots

    async def find(self, tenant: str, vector: ItemVector, count: int, without: str = "") -> list[pb.SimilarMediaItem]:
        """Return the items that look most alike among those that are available to everyone now, most similar first.

        Args:
            tenant: whose catalogue.
            vector: of length one.
            count: items to return.
            without: an item to leave out, by its id.

        Raises:
            OtherVectors: see there.
            ServiceError: the store cannot be read.
        """
        state = await self.store.catalog_state(tenant)
        snapshot = await self.snapshots.get(tenant, state.sequence)
        pictures = snapshot.pictures
        if not pictures.values.shape[1]:
            return []
        if (pictures.model, pictures.version, 4 * pictures.values.shape[1]) != (
            vector.model,
            vector.version,
            len(vector.values),
        ):
            raise OtherVectors
        if len(snapshot) <= _INLINE_ITEMS:
            return _nearest(snapshot, vector, count, without)
        return await asyncio.to_thread(_nearest, snapshot, vector, count, without)


def _nearest(snapshot: CatalogSnapshot, vector: ItemVector, count: int, without: str) -> list[pb.SimilarMediaItem]:
    allowed = snapshot.mask() & snapshot.pictures.present
    if without in snapshot.rows:
        allowed[snapshot.rows[without]] = False
    rows = numpy.flatnonzero(allowed)
    cosines = (snapshot.pictures.values @ numpy.frombuffer(vector.values, "<f4"))[rows]
    best = numpy.argsort(-cosines, kind="stable")[:count]
    return [
        pb.SimilarMediaItem(
            item_id=snapshot.item_ids[rows[place]],
            title=snapshot.titles[rows[place]],
            similarity=float(cosines[place].clip(-1, 1)),
        )
        for place in best
    ]


async def find_similar(
    similar: SimilarPictures, tenant: str, vector: ItemVector, count: int, without: str, steps: StepLog
) -> list[pb.SimilarMediaItem] | pb.MediaFailure:
    """Return what `SimilarPictures.find` does, or why it cannot be told; it costs no other feature."""
    with steps.measure("media/similar") as report:
        try:
            return await similar.find(tenant, vector, count, without)
        except OtherVectors:
            reason, message = "OTHER_MODEL", "the catalogue's pictures were described by another model version"
        except ServiceError as error:
            reason, message = error.reason, "the catalogue cannot be read; try again later"
        report.outcome, report.detail = STEP_OUTCOME_FALLBACK, f"{message}; {FALLBACKS['media/similar']}"
    return pb.MediaFailure(feature=SIMILAR, reason=reason, message=message)
