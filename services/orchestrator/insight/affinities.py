"""What a user leans to, by the tags of what they had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from marquee.entertainment.v1 import insight_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.store.records import EventRecord

_DECAY = 0.98


def affinities(events: Sequence[EventRecord], snapshot: CatalogSnapshot, count: int) -> list[pb.Affinity]:
    """Return the tags with the largest share of the user's positive weights, fading by event, and how that compares
    with their share of everybody's.

    Args:
        events: newest first.
        snapshot: the catalogue.
        count: tags wanted at most.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    for age, event in enumerate(events):
        row = snapshot.rows.get(event.item_id)
        if row is not None and event.weight > 0:
            for tag in snapshot.tags[row]:
                weights[tag] += event.weight * _DECAY**age
    total = sum(weights.values())
    if not total:
        return []
    usual = {tag: float(snapshot.popularity[snapshot.rows_with_tag(tag)].sum()) for tag in weights}
    every_tag = sum(float(snapshot.popularity[rows].sum()) for rows in snapshot.tag_rows.values())
    best = sorted(weights, key=lambda tag: (-weights[tag], tag))[:count]
    return [
        pb.Affinity(
            tag=tag,
            share=weights[tag] / total,
            lift=(weights[tag] / total) / (usual[tag] / every_tag) if usual[tag] else 0.0,
        )
        for tag in best
    ]
