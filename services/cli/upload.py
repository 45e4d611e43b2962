"""Writes many items or events in batches; lines that the orchestrator refuses are reported, the rest goes on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import Event
from marquee_client import InvalidArgument, MarqueeClient, ResourceExhausted
from services.cli.json_lines import Line, Refusal

MessageT = TypeVar("MessageT", bound=Message)
Send = Callable[[Sequence[MessageT]], None]

ITEMS_PER_CALL = 200
EVENTS_PER_CALL = 1_000
_BYTES_PER_CALL = 16 << 20
_TIMEOUT_SECONDS = 120.0
_PLACE = re.compile(r"(?:items|events)\[(\d+)\]")


@dataclass
class ItemCounts:
    """What became of items."""

    created: int = 0
    updated: int = 0
    degraded: bool = False
    """Some were stored without their vectors, which follow when the model service answers."""


@dataclass
class EventCounts:
    """What became of events."""

    written: int = 0
    duplicates: int = 0


@dataclass
class ItemWriter:
    """Sends items through a client, and counts."""

    client: MarqueeClient
    counts: ItemCounts = field(default_factory=ItemCounts)

    def __call__(self, items: Sequence[Item]) -> None:
        """Write one batch."""
        response = self.client.upsert_items(items, timeout=_TIMEOUT_SECONDS)
        self.counts.created += response.created_count
        self.counts.updated += response.updated_count
        self.counts.degraded |= response.degraded


@dataclass
class EventWriter:
    """Sends events through a client, and counts."""

    client: MarqueeClient
    counts: EventCounts = field(default_factory=EventCounts)

    def __call__(self, events: Sequence[Event]) -> None:
        """Write one batch."""
        response = self.client.write_events(events, timeout=_TIMEOUT_SECONDS)
        self.counts.written += response.written_count
        self.counts.duplicates += response.duplicate_count


def send_all(messages: Iterable[MessageT], send: Send[MessageT], size: int, done: Callable[[int], None]) -> None:
    """Send messages that are known to be right, `size` a call; `done` hears the number of each batch."""
    rest = iter(messages)
    while batch := list(itertools.islice(rest, size)):
        send(batch)
        done(len(batch))


def send_lines(
    lines: Iterable[Line[MessageT] | Refusal],
    send: Send[MessageT],
    size: int,
    done: Callable[[int], None],
    key: Callable[[MessageT], str] | None = None,
) -> Iterator[Refusal]:
    """Send the lines of a file and return those refused, by the reader or by the orchestrator.

    Args:
        lines: what the file holds.
        send: writes one batch.
        size: most messages a call.
        done: hears how many lines were dealt with.
        key: a batch ends before a message whose key it holds already, so that the later one replaces the earlier.
    """
    for entry in _batches(lines, size, key):
        if isinstance(entry, Refusal):
            yield entry
            done(1)
        else:
            yield from _send_batch(entry, send)
            done(len(entry))


def _batches(
    lines: Iterable[Line[MessageT] | Refusal], size: int, key: Callable[[MessageT], str] | None
) -> Iterator[list[Line[MessageT]] | Refusal]:
    batch: list[Line[MessageT]] = []
    keys: set[str] = set()
    total = 0
    for entry in lines:
        if isinstance(entry, Refusal):
            yield entry
            continue
        name = key(entry.message) if key is not None else ""
        length = entry.message.ByteSize()
        if batch and (len(batch) == size or total + length > _BYTES_PER_CALL or (key is not None and name in keys)):
            yield batch
            batch, keys, total = [], set(), 0
        batch.append(entry)
        keys.add(name)
        total += length
    if batch:
        yield batch


def _send_batch(batch: list[Line[MessageT]], send: Send[MessageT]) -> Iterator[Refusal]:
    try:
        send([line.message for line in batch])
        return
    except InvalidArgument as error:
        failure: InvalidArgument | ResourceExhausted = error
    except ResourceExhausted as error:
        if error.reason not in ("MESSAGE_TOO_LARGE", ""):
            raise
        failure = error
    refused = _refused_places(failure)
    if refused:
        yield from (Refusal(batch[place].number, reason) for place, reason in refused.items())
        batch = [line for place, line in enumerate(batch) if place not in refused]
        parts = [batch]
    elif len(batch) == 1:
        yield Refusal(batch[0].number, failure.message)
        return
    else:  # the error names no line: find it by halves
        parts = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
    for part in filter(None, parts):
        yield from _send_batch(part, send)


def _refused_places(error: InvalidArgument | ResourceExhausted) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for violation in error.field_violations:
        place = _PLACE.match(violation.field)
        if place is not None:
            name = violation.field[place.end() :].removeprefix(".")
            reasons.setdefault(int(place[1]), f"{name} {violation.description}".strip())
    return reasons
