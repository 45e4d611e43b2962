"""Pinned places: what the caller puts at a position of the list whatever the ranking says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.recommend.placing import Placed
from services.orchestrator.recommend.ranking import ScoredItem
from services.runtime.validation import Violations

PINNED = "pinned"
"""The source of an item that holds a slot."""
MAXIMUM_SLOTS = 20
HIGHEST_POSITION = 99


def read_slots(check: Violations, slots: Sequence[pb.Slot], excluded: Collection[str]) -> dict[int, str]:
    """Return item id by position; what contradicts itself is added to the violations."""
    found: dict[int, str] = {}
    if not check.count("slots", slots, maximum=MAXIMUM_SLOTS):
        return found
    for index, slot in enumerate(slots):
        check.within(f"slots[{index}].position", slot.position, 0, HIGHEST_POSITION)
        check.identifier(f"slots[{index}].item_id", slot.item_id)
        if slot.position in found:
            check.add(f"slots[{index}].position", f"{slot.position} is taken by item {found[slot.position][:80]!r}")
        elif slot.item_id in found.values():
            check.add(f"slots[{index}].item_id", f"{slot.item_id[:80]!r} has another slot already")
        elif slot.item_id in excluded:
            check.add(f"slots[{index}].item_id", f"{slot.item_id[:80]!r} is excluded by excluded_item_ids")
        else:
            found[slot.position] = slot.item_id
    return found


def showable_slots(slots: Mapping[int, str], snapshot: CatalogSnapshot, allowed: Mask) -> dict[int, str]:
    """Return the slots whose items are in the catalogue and pass the request's filters."""
    return {
        position: item_id
        for position, item_id in slots.items()
        if (row := snapshot.rows.get(item_id)) is not None and allowed[row]
    }


def fill_slots(items: Sequence[Placed], slots: Mapping[int, str], size: int) -> list[Placed]:
    """Return the list with the slots' items at their positions, the others in their order around them.

    Args:
        items: the list, without repeats; may hold items of slots, which then move.
        slots: item id by position, from 0; a position past the end comes last.
        size: most items to return.
    """
    known = {one.item.item_id: one.item for one in items}
    filled = [one for one in items if one.item.item_id not in slots.values()]
    for position in sorted(slots):
        item_id = slots[position]
        filled.insert(position, Placed(known.get(item_id) or ScoredItem(item_id, 0.0)))
    return filled[:size]
