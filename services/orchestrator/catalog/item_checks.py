"""Checks items that callers want stored against the limits of catalog_service.proto."""

from __future__ import annotations

import re
from collections.abc import Sequence

from marquee.entertainment.v1.catalog_service_pb2 import Item
from services.orchestrator.store.records import ItemWrite, UndescribedPicture
from services.runtime.validation import Violations

REGION = re.compile(r"[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?")
"""ISO 3166: a country, or a subdivision of one."""
LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""The form of a BCP 47 tag."""
_MAXIMUM_ITEMS = 500
_MAXIMUM_PICTURE_BYTES = 8 << 20


def checked_items(items: Sequence[Item]) -> list[ItemWrite]:
    """Return the items as the store takes them.

    Raises:
        InvalidRequest: names every invalid field.
    """
    violations = Violations()
    if violations.count("items", items, minimum=1, maximum=_MAXIMUM_ITEMS):
        first_with: dict[str, int] = {}
        for index, item in enumerate(items):
            _check(violations, f"items[{index}]", item)
            first = first_with.setdefault(item.item_id, index)
            if first != index and item.item_id:
                violations.add(f"items[{index}].item_id", f"repeats items[{first}].item_id")
    violations.raise_if_any()
    return [_write(item) for item in items]


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


def _check(violations: Violations, field: str, item: Item) -> None:
    violations.identifier(f"{field}.item_id", item.item_id)
    violations.text(f"{field}.title", item.title, maximum=500)
    violations.text(f"{field}.description", item.description, minimum=0, maximum=10_000)
    violations.count(f"{field}.tags", item.tags, maximum=50)
    for index, tag in enumerate(item.tags):
        violations.text(f"{field}.tags[{index}]", tag, maximum=64)
    violations.unique(f"{field}.tags", [tag.casefold() for tag in item.tags])
    violations.within(f"{field}.maturity_age", item.maturity_age, 0, 21)
    if item.release_year:
        violations.within(f"{field}.release_year", item.release_year, 1800, 2200)
    if len(item.picture) > _MAXIMUM_PICTURE_BYTES:
        violations.add(f"{field}.picture", f"has {len(item.picture):,} bytes; the limit is {_MAXIMUM_PICTURE_BYTES:,}")
    elif item.picture and picture_type(item.picture) is None:
        violations.add(f"{field}.picture", "is no JPEG, PNG or WebP file")


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
    )
