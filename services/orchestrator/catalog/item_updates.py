"""Changes of single fields of an item, as an update mask names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from google.protobuf.message import Message

from marquee.entertainment.v1 import catalog_service_pb2 as pb
from services.runtime.validation import Violations

EVERYTHING = "*"
_AVAILABILITY = "availability"
_PARTS = ("regions", "start_time", "end_time", "entitlements")
_FIELDS = (
    "title",
    "description",
    "tags",
    "maturity_age",
    "release_year",
    "picture",
    "picture_uri",
    "locale",
    _AVAILABILITY,
)
_PATHS = frozenset([*_FIELDS, *(f"{_AVAILABILITY}.{part}" for part in _PARTS)])
_MAXIMUM_PATHS = 50


def checked_paths(paths: Sequence[str]) -> list[str]:
    """Return the paths of an update mask, "*" taken apart.

    Raises:
        InvalidRequest: the mask is empty, or names what cannot be changed.
    """
    violations = Violations()
    if violations.count("update_mask.paths", paths, minimum=1, maximum=_MAXIMUM_PATHS):
        for index, path in enumerate(paths):
            if path == EVERYTHING and len(paths) > 1:
                violations.add(f"update_mask.paths[{index}]", 'is "*", which stands alone')
            elif path != EVERYTHING and path not in _PATHS:
                known = ", ".join(sorted(_PATHS))
                violations.add(f"update_mask.paths[{index}]", f"is {path[:64]!r}; what can be changed is {known} or *")
    violations.raise_if_any()
    return list(_FIELDS) if list(paths) == [EVERYTHING] else list(paths)


def changed(stored: pb.Item, wanted: pb.Item, paths: Sequence[str]) -> pb.Item:
    """Return the stored item with the named fields as they are wanted; one that is not set there is cleared."""
    item = pb.Item()
    item.CopyFrom(stored)
    for field in ("picture_labels", "update_time"):
        cast("Message", item).ClearField(field)
    for path in paths:
        name, _, part = path.partition(".")
        if part:
            _copy(item.availability, wanted.availability, part)
        else:
            _copy(item, wanted, name)
    return item


def _copy(target: Message, source: Message, name: str) -> None:
    target.ClearField(name)
    one = type(source)()
    one.CopyFrom(source)
    for field, _ in source.ListFields():
        if field.name != name:
            one.ClearField(field.name)
    target.MergeFrom(one)
