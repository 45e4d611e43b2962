"""Imports a catalogue file in batches; what is refused goes into a file of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee_client import MarqueeClient
from services.cli.catalog.progress import ImportProgress
from services.cli.console import Stage
from services.cli.json_lines import Line, Refusal

ITEMS_PER_CALL = 500
_BYTES_PER_CALL = 8 << 20
_LARGEST_ITEM = 16 << 20
_TIMEOUT_SECONDS = 300.0


class CatalogImport:
    """One file on its way into the catalogue.

    Attributes:
        created, updated, refused: what became of its rows so far.
        degraded: some items were stored without their vectors, which follow.
    """

    def __init__(self, client: MarqueeClient, progress: ImportProgress, report: IO[Any], work: Stage) -> None:
        self.created = 0
        self.updated = 0
        self.refused = progress.refused
        self.degraded = False
        self._client = client
        self._progress = progress
        self._report = report
        self._work = work

    def run(self, rows: Iterable[Line[Item] | Refusal]) -> None:
        """Write all rows behind those that an earlier import dealt with."""
        self._work.advance(self._progress.rows)
        new = (row for row in rows if row.number > self._progress.rows)
        for batch in _batches(new):
            self._write(batch)
            self._report.flush()
            self._progress.keep(batch[-1].number, self.refused)
            self._work.advance(len(batch))

    def _write(self, batch: list[Line[Item] | Refusal]) -> None:
        good: list[Line[Item]] = []
        for row in batch:
            if isinstance(row, Refusal):
                self._refuse(row.number, "", [row.reason])
            elif row.message.ByteSize() > _LARGEST_ITEM:
                size, limit = row.message.ByteSize(), _LARGEST_ITEM
                self._refuse(row.number, row.message.item_id, [f"has {size:,} bytes; the limit is {limit:,}"])
            else:
                good.append(row)
        if not good:
            return
        answer = self._client.upsert_items([row.message for row in good], keep_valid=True, timeout=_TIMEOUT_SECONDS)
        self.created += answer.created_count
        self.updated += answer.updated_count
        self.degraded |= answer.degraded
        for refused in answer.refused_items:
            self._refuse(good[refused.index].number, refused.item_id, list(refused.problems))

    def _refuse(self, row: int, item_id: str, problems: list[str]) -> None:
        self.refused += 1
        line = {"row": row, "item_id": item_id[:128], "problems": problems}
        self._report.write(json.dumps(line, ensure_ascii=False) + "\n")


def first_refusals(report: Path, count: int) -> Iterator[str]:
    """Yield the first refused rows of a report as sentences."""
    with report.open(encoding="utf-8") as lines:
        for line in itertools.islice(lines, count):
            entry = json.loads(line)
            yield f"row {entry['row']}: {'; '.join(entry['problems'])}"


def _batches(rows: Iterable[Line[Item] | Refusal]) -> Iterator[list[Line[Item] | Refusal]]:
    """Group rows, ending a group before an id that it holds: the later one replaces the earlier."""
    batch: list[Line[Item] | Refusal] = []
    known: set[str] = set()
    size = 0
    for row in rows:
        length = row.message.ByteSize() if isinstance(row, Line) else 0
        repeated = isinstance(row, Line) and row.message.item_id in known
        if batch and (len(batch) == ITEMS_PER_CALL or size + length > _BYTES_PER_CALL or repeated):
            yield batch
            batch, known, size = [], set(), 0
        batch.append(row)
        size += length
        if isinstance(row, Line):
            known.add(row.message.item_id)
    if batch:
        yield batch
