"""Items as rows of a table, for CSV and Parquet: the names of the columns, and how each is read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from marquee.entertainment.v1.catalog_service_pb2 import Item

SEPARATOR = "|"
"""Between the entries of a list in a CSV cell."""
REQUIRED = ("item_id", "title")
TEXTS = ("item_id", "title", "description", "picture_uri", "locale")
NUMBERS = ("maturity_age", "release_year")
LISTS = ("tags", "regions", "entitlements")
TIMES = ("start_time", "end_time")
COLUMNS = (*TEXTS, *NUMBERS, *LISTS, *TIMES)


def header_problem(columns: Sequence[str]) -> str:
    """Return what is wrong with the names of the columns; empty when nothing is."""
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    problems = [
        f"{words}: {', '.join(map(repr, names))}"
        for words, names in (("missing", missing), ("unknown", unknown), ("repeated", repeated))
        if names
    ]
    return f"wrong columns ({'; '.join(problems)}); known are {', '.join(COLUMNS)}" if problems else ""


def item_of(row: Mapping[str, Any]) -> Item:
    """Return the item of a row; empty cells and None are fields that are not set.

    Raises:
        ValueError: a cell cannot be read; says which.
    """
    item = Item()
    for name, value in row.items():
        if value is None or value == "":
            continue
        try:
            _read(item, name, value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{name} {str(value)[:60]!r} {_expected(name)}") from error
    return item


def row_of(item: Item) -> dict[str, Any]:
    """Return an item as a row: lists as lists, times as datetimes, None for what is not set."""
    limits = item.availability
    row: dict[str, Any] = {name: getattr(item, name) or None for name in (*TEXTS, *NUMBERS)}
    row |= {"tags": list(item.tags), "regions": list(limits.regions), "entitlements": list(limits.entitlements)}
    for name in TIMES:
        given = limits.HasField(name)  # type: ignore[arg-type]  # the stub wants a literal
        row[name] = getattr(limits, name).ToDatetime(UTC) if given else None
    return row


def _read(item: Item, name: str, value: Any) -> None:
    if name in TEXTS:
        setattr(item, name, str(value))
    elif name in NUMBERS:
        setattr(item, name, int(value))
    elif name in LISTS:
        entries = value.split(SEPARATOR) if isinstance(value, str) else list(value)
        target = item.tags if name == "tags" else getattr(item.availability, name)
        if not all(isinstance(entry, str) for entry in entries):
            raise ValueError("an entry is no string")
        target.extend(entry.strip() for entry in entries)
    else:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        getattr(item.availability, name).FromDatetime(time.replace(tzinfo=time.tzinfo or UTC))


def _expected(name: str) -> str:
    if name in NUMBERS:
        return "is no whole number"
    if name in TIMES:
        return "is no time such as 2026-11-24T20:15:00Z"
    return "cannot be read"
