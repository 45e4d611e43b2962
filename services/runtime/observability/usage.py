"""Counts what every tenant used, by the hour: calls, amounts in the model's unit, and compute time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

HOUR_SECONDS = 3600
OTHER = "other"
"""Tenant, model, version and unit of what exceeds the most keys of one hour."""
Key: TypeAlias = tuple[str, str, str, str]
"""Tenant, model, version, unit."""
_OTHER_KEY: Key = (OTHER, OTHER, OTHER, OTHER)


@dataclass(frozen=True)
class UsageRecord:
    """What one tenant used of one model version within one hour."""

    hour: int
    """Begin of the hour, in seconds since 1970, UTC."""
    tenant: str
    model: str
    version: str
    unit: str
    """Unit of `amount`, for example tokens, pixels or rows."""
    calls: int
    """Answered requests."""
    amount: int
    compute_seconds: float


class _Entry:
    """Sums of one key in one hour, and how much of them was handed to the journal."""

    __slots__ = ("amount", "calls", "seconds", "taken_amount", "taken_calls", "taken_seconds")

    def __init__(self) -> None:
        self.calls = self.taken_calls = 0
        self.amount = self.taken_amount = 0
        self.seconds = self.taken_seconds = 0.0


class UsageMeter:
    """The usage of one process. All methods are for the event loop's thread.

    Args:
        maximum_keys: most distinct (tenant, model, version, unit) of one hour; what exceeds it is counted as `other`.
        maximum_records: most records of all hours together; beyond it the oldest hours are forgotten (a journal keeps
            them).
        clock: seconds since 1970.
    """

    def __init__(
        self, maximum_keys: int = 10_000, maximum_records: int = 50_000, clock: Callable[[], float] = time.time
    ) -> None:
        self._maximum_keys = maximum_keys
        self._maximum_records = maximum_records
        self._clock = clock
        self._hours: dict[int, dict[Key, _Entry]] = {}
        self._records = 0
        self._current: dict[Key, _Entry] = {}
        self._begin = 0
        self._end = 0.0
        self.process = uuid.uuid4().hex
        """Names this meter in its journal and in exports, so that nobody counts its usage twice."""
        self.overflow = 0
        """Answers that were counted as `other`."""

    def add(self, tenant: str, model: str, version: str, unit: str, amount: int, compute_seconds: float) -> None:
        """Count one answered request: its amount in the model's unit and the seconds that the model ran for it."""
        now = self._clock()
        if not self._begin <= now < self._end:
            self._enter_hour(now)
        key = (tenant, model, version, unit)
        entry = self._current.get(key) or self._new_entry(self._current, key)
        entry.calls += 1
        entry.amount += amount
        entry.seconds += compute_seconds

    def restore(self, records: Iterable[UsageRecord]) -> None:
        """Count what a journal holds of earlier processes; it is not journalled again."""
        for record in records:
            if self._records > 2 * self._maximum_records:
                self._forget_oldest()
            key = (record.tenant, record.model, record.version, record.unit)
            hour = self._hours.setdefault(record.hour, {})
            entry = hour.get(key) or self._new_entry(hour, key)
            entry.calls += record.calls
            entry.taken_calls += record.calls
            entry.amount += record.amount
            entry.taken_amount += record.amount
            entry.seconds += record.compute_seconds
            entry.taken_seconds += record.compute_seconds
        self._forget_oldest()

    def records(self, tenant: str = "", since: float = 0.0, until: float = float("inf")) -> Iterator[UsageRecord]:
        """Return the usage by hour, oldest first, ordered by key within an hour.

        Args:
            tenant: only of this tenant; of all when empty.
            since: leaves out the hours that ended at or before this moment, in seconds since 1970.
            until: leaves out the hours that began at or after this moment.
        """
        for begin in sorted(self._hours):
            if begin + HOUR_SECONDS <= since or begin >= until:
                continue
            entries = self._hours[begin]
            for key in sorted(entries):
                entry = entries[key]
                if (not tenant or key[0] == tenant) and entry.calls:
                    yield UsageRecord(begin, *key, entry.calls, entry.amount, entry.seconds)

    def take_new(self) -> list[UsageRecord]:
        """Return what was counted since the last time, for the journal."""
        new = []
        for begin, entries in self._hours.items():
            for key, entry in entries.items():
                if entry.calls != entry.taken_calls:
                    seconds = entry.seconds - entry.taken_seconds
                    calls, amount = entry.calls - entry.taken_calls, entry.amount - entry.taken_amount
                    new.append(UsageRecord(begin, *key, calls, amount, seconds))
                    entry.taken_calls, entry.taken_amount = entry.calls, entry.amount
                    entry.taken_seconds = entry.seconds
        return new

    def _enter_hour(self, now: float) -> None:
        # Also when the clock was set back: the hour that it names goes on.
        self._begin = int(now // HOUR_SECONDS) * HOUR_SECONDS
        self._end = self._begin + HOUR_SECONDS
        self._current = self._hours.setdefault(self._begin, {})
        self._forget_oldest()

    def _new_entry(self, hour: dict[Key, _Entry], key: Key) -> _Entry:
        if len(hour) >= self._maximum_keys:
            self.overflow += 1
            key = _OTHER_KEY
            known = hour.get(key)
            if known is not None:
                return known
        self._records += 1
        return hour.setdefault(key, _Entry())

    def _forget_oldest(self) -> None:
        if self._records <= self._maximum_records:
            return
        for begin in sorted(self._hours)[:-2]:  # what the newest hours hold may not be in the journal yet
            self._records -= len(self._hours.pop(begin))
            if self._records <= self._maximum_records:
                return
