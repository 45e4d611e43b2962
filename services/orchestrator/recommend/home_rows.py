"""The rows of a home page: which there are, in what order, and that no item stands in two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.store.records import UserEvent

SHORTEST_ROW = 3
_TAG_DECAY = 0.95


@dataclass(frozen=True)
class RowPlan:
    """A row before it is filled: its items in order of preference, more than it needs.

    Attributes:
        source: what the items' reasons and the slate log call it.
        shortest: fewer items than this, and the row is left out.
    """

    kind: pb.HomeRowKind.ValueType
    title: str
    source: str
    item_ids: Sequence[str]
    item_id: str = ""
    tag: str = ""
    shortest: int = SHORTEST_ROW


@dataclass(frozen=True)
class FilledRow:
    """A row with the items that it shows."""

    plan: RowPlan
    item_ids: tuple[str, ...]


def fill_rows(plans: Iterable[RowPlan], row_size: int, row_count: int) -> list[FilledRow]:
    """Fill rows from the top: each takes the best of its items that no row above it shows."""
    shown: set[str] = set()
    rows: list[FilledRow] = []
    for plan in plans:
        if len(rows) == row_count:
            break
        chosen = tuple([item_id for item_id in dict.fromkeys(plan.item_ids) if item_id not in shown][:row_size])
        if len(chosen) >= min(plan.shortest, row_size):
            rows.append(FilledRow(plan, chosen))
            shown.update(chosen)
    return rows


def favourite_tags(history: Sequence[UserEvent], snapshot: CatalogSnapshot, count: int) -> list[str]:
    """Return the tags that the history leans to more than the catalogue does, strongest first.

    A tag's weight is the faded sum of its events' weights, divided by the square root of the number of its items: a
    tag that half the catalogue carries says little about anybody.

    Args:
        history: oldest first.
        snapshot: the catalogue.
        count: tags wanted at most.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    for age, event in enumerate(reversed(history)):
        row = snapshot.rows.get(event.item_id)
        if row is not None:
            for tag in snapshot.tags[row]:
                weights[tag] += event.weight * _TAG_DECAY**age
    scored = {
        tag: weight / max(1, len(snapshot.rows_with_tag(tag))) ** 0.5 for tag, weight in weights.items() if weight > 0
    }
    return sorted(scored, key=lambda tag: (-scored[tag], tag))[:count]


def favourite_items(history: Sequence[UserEvent], snapshot: CatalogSnapshot, count: int) -> list[str]:
    """Return the newest liked items of the history that are in the catalogue, newest first."""
    liked = (event.item_id for event in reversed(history) if event.weight > 0 and event.item_id in snapshot.rows)
    return list(dict.fromkeys(liked))[:count]
