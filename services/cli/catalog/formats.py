"""Reads and writes catalogue files: JSON lines, CSV and Parquet, a row at a time."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from marquee.entertainment.v1.catalog_service_pb2 import Item
from services.cli.catalog.columns import COLUMNS, LISTS, NUMBERS, SEPARATOR, TIMES, header_problem, item_of, row_of
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.json_lines import Line, Refusal, read_lines

Rows = Iterator[Line[Item] | Refusal]
_ROWS_AT_ONCE = 1_000
_LARGEST_CELL = 32 << 20


def format_of(file: Path, wanted: str | None) -> str:
    """Return the name of a file's format: as wanted, or by its suffix."""
    name = (wanted or file.suffix.removeprefix(".")).lower()
    name = {"ndjson": "jsonl", "pq": "parquet"}.get(name, name)
    if name not in READERS:
        raise CommandFailed(
            f"{file}: cannot tell the format", f"Name it with --format: {', '.join(READERS)}.", EXIT_WRONG_INPUT
        )
    return name


def _read_jsonl(file: Path) -> Rows:
    with file.open("rb") as lines:
        yield from read_lines(lines, Item)


def _read_csv(file: Path) -> Rows:
    csv.field_size_limit(_LARGEST_CELL)
    # Bytes that are no UTF-8 become lone surrogates, so that only their row is refused.
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        try:
            columns = [name.strip() for name in next(rows, [])]
            _require_columns(file, columns)
            number = 1
            for row in rows:
                number += 1
                if row:
                    yield _csv_row(number, columns, row)
        except csv.Error as error:
            yield Refusal(rows.line_num, f"is no CSV from here on: {error}")


def _csv_row(number: int, columns: list[str], row: list[str]) -> Line[Item] | Refusal:
    if len(row) != len(columns):
        return Refusal(number, f"has {len(row)} cells; the header has {len(columns)}")
    if any("\udc80" <= character <= "\udcff" for cell in row for character in cell):
        return Refusal(number, "is not UTF-8")
    return _row(number, dict(zip(columns, row, strict=True)))


def _row(number: int, row: dict[str, Any]) -> Line[Item] | Refusal:
    try:
        return Line(number, item_of(row))
    except ValueError as error:
        return Refusal(number, str(error))


def _read_parquet(file: Path) -> Rows:
    arrow, parquet = _arrow()
    try:
        opened = parquet.ParquetFile(file)
    except arrow.ArrowInvalid as error:
        raise CommandFailed(f"{file} is no whole Parquet file: {error}", "", EXIT_WRONG_INPUT) from error
    schema = opened.schema_arrow
    _require_columns(file, schema.names)
    wrong = [
        f"{field.name} is {field.type}, must be {_arrow_words(field.name)}"
        for field in schema
        if not _fits(arrow, field.name, field.type)
    ]
    if wrong:
        raise CommandFailed(f"{file}: wrong types ({'; '.join(wrong)})", "", EXIT_WRONG_INPUT)
    number = 0
    try:
        for batch in opened.iter_batches(_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                number += 1
                yield _row(number, row)
    except (arrow.ArrowInvalid, OSError, ValueError, OverflowError) as error:
        yield Refusal(number + 1, f"cannot be read, nor what follows: {error}")


def _fits(arrow: Any, name: str, kind: Any) -> bool:
    types = arrow.types
    if name in NUMBERS:
        return bool(types.is_integer(kind))
    if name in LISTS:
        return bool(types.is_list(kind) or types.is_large_list(kind)) and _fits(arrow, "title", kind.value_type)
    if name in TIMES:
        return bool(types.is_timestamp(kind))
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


def _arrow_words(name: str) -> str:
    kinds = (("a whole number", NUMBERS), ("a list of strings", LISTS), ("a timestamp", TIMES))
    return next((words for words, names in kinds if name in names), "a string")


def _write_jsonl(file: Path, items: Iterable[Item]) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        for item in items:
            fields = json_format.MessageToJson(
                _without_outputs(item), preserving_proto_field_name=True, indent=None, ensure_ascii=False
            )
            lines.write(fields + "\n")
            count += 1
    return count


def _write_csv(file: Path, items: Iterable[Item]) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        for item in items:
            row = row_of(item)
            if any(SEPARATOR in entry for name in LISTS for entry in row[name]):
                raise CommandFailed(
                    f"item {item.item_id!r} has a {SEPARATOR!r} in a list, which CSV cannot keep",
                    "Export as .jsonl or .parquet.",
                )
            cells = {name: SEPARATOR.join(row[name]) for name in LISTS}
            cells |= {name: row[name].isoformat() if row[name] else "" for name in TIMES}
            writer.writerow([(row | cells)[name] for name in COLUMNS])
            count += 1
    return count


def _write_parquet(file: Path, items: Iterable[Item]) -> int:
    arrow, parquet = _arrow()
    strings, times = arrow.list_(arrow.string()), arrow.timestamp("us", tz="UTC")
    kinds = {name: arrow.int32() for name in NUMBERS} | dict.fromkeys(LISTS, strings) | dict.fromkeys(TIMES, times)
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
    count = 0
    rest = iter(items)
    with parquet.ParquetWriter(file, schema) as writer:
        while rows := [row_of(item) for item in itertools.islice(rest, _ROWS_AT_ONCE)]:
            writer.write_table(arrow.Table.from_pylist(rows, schema))
            count += len(rows)
    return count


def _without_outputs(item: Item) -> Item:
    copy = Item()
    copy.CopyFrom(item)
    copy.ClearField("picture_labels")
    copy.ClearField("update_time")
    return copy


def _require_columns(file: Path, columns: list[str]) -> None:
    problem = header_problem(columns)
    if problem:
        raise CommandFailed(f"{file}: {problem}", "", EXIT_WRONG_INPUT)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # large, and only Parquet needs it
        from pyarrow import parquet
    except ImportError as error:
        raise CommandFailed("Parquet needs pyarrow", 'Install it: pip install "marquee[parquet]".') from error
    return pyarrow, parquet


READERS: dict[str, Callable[[Path], Rows]] = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}
WRITERS: dict[str, Callable[[Path, Iterable[Item]], int]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
