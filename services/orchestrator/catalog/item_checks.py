"""Checks items that callers want stored against the limits of catalog_service.proto."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marquee.entertainment.v1.catalog_service_pb2 import Availability, Item, RefusedItem
from services.orchestrator.store.records import Availability as StoredAvailability
from services.orchestrator.store.records import ItemWrite, UndescribedPicture
from services.runtime.errors import FieldViolation
from services.runtime.validation import Violations

REGION = re.compile(r"[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?")
"""ISO 3166: a country, or a subdivision of one."""
LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""The form of a BCP 47 tag."""
_MAXIMUM_ITEMS = 500
_MAXIMUM_PICTURE_BYTES = 8 << 20
_MAXIMUM_REGIONS = 300
_LONGEST_LOCALE = 35
_LONGEST_ID = 128
_NANOSECONDS = 1_000_000_000
# The range that the contract's Timestamp type defines: years 1 to 9999.
FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_799


@dataclass(frozen=True, slots=True)
class SortedItems:
    """Items of a request that are good, with their places in it, and the others."""

    writes: list[ItemWrite]
    places: list[int]
    refused: list[RefusedItem]


def checked_items(items: Sequence[Item]) -> list[ItemWrite]:
    """Return the items as the store takes them.

    Raises:
        InvalidRequest: names every invalid field.
    """
    violations = _counted(items)
    first_with: dict[str, int] = {}
    for index, item in enumerate(items):
        _check(violations, f"items[{index}].", item)
        _check_repeat(violations, f"items[{index}].", item, first_with.setdefault(item.item_id, index), index)
    violations.raise_if_any()
    return [_write(item) for item in items]


def sorted_items(items: Sequence[Item]) -> SortedItems:
    """Tell the good items from the others; of those that share an id, the first one counts.

    Raises:
        InvalidRequest: there are no items, or too many.
    """
    _counted(items)
    found = SortedItems([], [], [])
    first_with: dict[str, int] = {}
    for index, item in enumerate(items):
        violations = Violations()
        _check(violations, "", item)
        _check_repeat(violations, "", item, first_with.setdefault(item.item_id, index), index)
        if violations.found:
            found.refused.append(refused_item(index, item, violations.found))
        else:
            found.writes.append(_write(item))
            found.places.append(index)
    return found


def refused_item(index: int, item: Item, violations: Iterable[FieldViolation]) -> RefusedItem:
    """Return what is wrong with an item, for the caller's report."""
    problems = [f"{violation.field} {violation.description}" for violation in violations]
    return RefusedItem(index=index, item_id=item.item_id[:_LONGEST_ID], problems=problems)


def checked_item(item: Item) -> ItemWrite:
    """Return one item as the store takes it.

    Raises:
        InvalidRequest: names every invalid field.
    """
    violations = Violations()
    _check(violations, "item.", item)
    violations.raise_if_any()
    return _write(item)


def _counted(items: Sequence[Item]) -> Violations:
    violations = Violations()
    violations.count("items", items, minimum=1, maximum=_MAXIMUM_ITEMS)
    violations.raise_if_any()
    return violations


def _check_repeat(violations: Violations, prefix: str, item: Item, first: int, index: int) -> None:
    if first != index and item.item_id:
        violations.add(f"{prefix}item_id", f"repeats items[{first}].item_id")


def picture_type(content: bytes) -> str | None:
    """Return the content type that the first bytes of an encoded picture show, or None when it is no JPEG,
    PNG or WebP.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def _check(violations: Violations, prefix: str, item: Item) -> None:
    violations.identifier(f"{prefix}item_id", item.item_id)
    violations.text(f"{prefix}title", item.title, maximum=500)
    violations.text(f"{prefix}description", item.description, minimum=0, maximum=10_000)
    violations.count(f"{prefix}tags", item.tags, maximum=50)
    for index, tag in enumerate(item.tags):
        violations.text(f"{prefix}tags[{index}]", tag, maximum=64)
    violations.unique(f"{prefix}tags", [tag.casefold() for tag in item.tags])
    violations.within(f"{prefix}maturity_age", item.maturity_age, 0, 21)
    if item.release_year:
        violations.within(f"{prefix}release_year", item.release_year, 1800, 2200)
    if len(item.picture) > _MAXIMUM_PICTURE_BYTES:
        violations.add(f"{prefix}picture", f"has {len(item.picture):,} bytes; the limit is {_MAXIMUM_PICTURE_BYTES:,}")
    elif item.picture and picture_type(item.picture) is None:
        violations.add(f"{prefix}picture", "is no JPEG, PNG or WebP file")
    violations.text(f"{prefix}picture_uri", item.picture_uri, minimum=0, maximum=2_000)
    if item.locale and not (len(item.locale) <= _LONGEST_LOCALE and LOCALE.fullmatch(item.locale)):
        violations.add(f"{prefix}locale", 'is no BCP 47 tag of at most 35 characters, such as "en" or "pt-BR"')
    _check_availability(violations, f"{prefix}availability.", item.availability)


def _check_availability(violations: Violations, prefix: str, availability: Availability) -> None:
    violations.count(f"{prefix}regions", availability.regions, maximum=_MAXIMUM_REGIONS)
    for index, region in enumerate(availability.regions[:_MAXIMUM_REGIONS]):
        if not REGION.fullmatch(region):
            description = 'is no ISO 3166 code of 2 letters with an optional subdivision, such as "DE" or "US-CA"'
            violations.add(f"{prefix}regions[{index}]", description)
    violations.unique(f"{prefix}regions", [region.upper() for region in availability.regions])
    violations.count(f"{prefix}entitlements", availability.entitlements, maximum=50)
    for index, entitlement in enumerate(availability.entitlements):
        violations.text(f"{prefix}entitlements[{index}]", entitlement, maximum=64)
    violations.unique(f"{prefix}entitlements", list(availability.entitlements))
    sound = [_check_time(violations, prefix, name, availability) for name in ("start_time", "end_time")]
    both = availability.HasField("start_time") and availability.HasField("end_time")
    if all(sound) and both and availability.end_time.ToMicroseconds() <= availability.start_time.ToMicroseconds():
        violations.add(f"{prefix}end_time", "is not after start_time")


def _check_time(violations: Violations, prefix: str, name: str, availability: Availability) -> bool:
    if not availability.HasField(name):  # type: ignore[arg-type]  # the stub wants a literal
        return True
    time = getattr(availability, name)
    if FIRST_SECOND <= time.seconds <= LAST_SECOND and 0 <= time.nanos < _NANOSECONDS:
        return True
    return violations.add(f"{prefix}{name}", "is no valid time: years 1 to 9999, nanos 0 to 999,999,999")


def _write(item: Item) -> ItemWrite:
    kind = picture_type(item.picture)
    return ItemWrite(
        item_id=item.item_id,
        title=item.title,
        description=item.description,
        tags=tuple(item.tags),
        maturity_age=item.maturity_age,
        release_year=item.release_year,
        picture=UndescribedPicture(item.picture, kind) if kind else None,
        picture_uri=item.picture_uri,
        locale=item.locale,
        availability=_availability(item.availability),
    )


def _availability(message: Availability) -> StoredAvailability:
    return StoredAvailability(
        regions=tuple(region.upper() for region in message.regions),
        start_time=message.start_time.ToMicroseconds() if message.HasField("start_time") else None,
        end_time=message.end_time.ToMicroseconds() if message.HasField("end_time") else None,
        entitlements=tuple(message.entitlements),
    )
