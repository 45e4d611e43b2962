from __future__ import annotations

import timeit
from dataclasses import astuple

from services.runtime.observability.usage import HOUR_SECONDS, UsageMeter, UsageRecord

HOUR = 1_760_000_400 // HOUR_SECONDS * HOUR_SECONDS


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = HOUR) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_usage_is_added_up_by_tenant_model_version_unit_and_hour() -> None:
    clock = Clock()
    meter = UsageMeter(clock=clock)
    meter.add("arcade", "minilm", "1", "tokens", 10, 0.25)
    meter.add("arcade", "minilm", "1", "tokens", 5, 0.5)
    meter.add("arcade", "minilm", "2", "tokens", 1, 0.0)
    meter.add("cinema", "minilm", "1", "tokens", 2, 0.0)
    clock.now += HOUR_SECONDS - 1e-3
    meter.add("arcade", "minilm", "1", "tokens", 1, 0.25)
    clock.now += 1e-3
    meter.add("arcade", "minilm", "1", "tokens", 7, 1.0)
    assert [astuple(record) for record in meter.records()] == [
        (HOUR, "arcade", "minilm", "1", "tokens", 3, 16, 1.0),
        (HOUR, "arcade", "minilm", "2", "tokens", 1, 1, 0.0),
        (HOUR, "cinema", "minilm", "1", "tokens", 1, 2, 0.0),
        (HOUR + HOUR_SECONDS, "arcade", "minilm", "1", "tokens", 1, 7, 1.0),
    ]


def test_usage_can_be_asked_for_by_tenant_and_time() -> None:
    clock = Clock()
    meter = UsageMeter(clock=clock)
    for number in range(4):
        clock.now = HOUR + number * HOUR_SECONDS
        meter.add("arcade", "m", "1", "rows", number, 0.0)
        meter.add("cinema", "m", "1", "rows", number, 0.0)
    found = list(meter.records("arcade", since=HOUR + HOUR_SECONDS + 1, until=HOUR + 3 * HOUR_SECONDS))
    assert [(record.tenant, record.amount) for record in found] == [("arcade", 1), ("arcade", 2)]
    assert not list(meter.records("nobody"))


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    clock = Clock(HOUR + 10)
    meter = UsageMeter(clock=clock)
    meter.add("arcade", "m", "1", "rows", 1, 0.0)
    clock.now = HOUR - 10
    meter.add("arcade", "m", "1", "rows", 2, 0.0)
    clock.now = HOUR + 20
    meter.add("arcade", "m", "1", "rows", 4, 0.0)
    assert [record.amount for record in meter.records()] == [2, 5]


def test_too_many_keys_are_counted_together_and_said_to_be() -> None:
    meter = UsageMeter(maximum_keys=10, clock=Clock())
    for number in range(1_000):
        meter.add(f"tenant-{number:04}", "m", "1", "rows", 2, 0.5)
    meter.add("tenant-0000", "m", "1", "rows", 2, 0.5)
    records = {record.tenant: record for record in meter.records()}
    assert len(records) == 11
    assert records["tenant-0000"].calls == 2
    assert (records["other"].calls, records["other"].amount, records["other"].model) == (990, 1_980, "other")
    assert meter.overflow == 990


def test_old_hours_make_room() -> None:
    clock = Clock()
    meter = UsageMeter(maximum_records=50, clock=clock)
    for number in range(100):
        clock.now = HOUR + number * HOUR_SECONDS
        for tenant in range(10):
            meter.add(f"tenant-{tenant}", "m", "1", "rows", 1, 0.0)
    records = list(meter.records())
    assert 50 <= len(records) <= 70
    assert records[-1].hour == HOUR + 99 * HOUR_SECONDS


def test_what_is_new_is_handed_out_once() -> None:
    meter = UsageMeter(clock=Clock())
    meter.restore([UsageRecord(HOUR, "arcade", "m", "1", "rows", 7, 70, 1.0)])
    assert meter.take_new() == []
    meter.add("arcade", "m", "1", "rows", 3, 0.5)
    meter.add("arcade", "m", "1", "rows", 4, 0.25)
    assert meter.take_new() == [UsageRecord(HOUR, "arcade", "m", "1", "rows", 2, 7, 0.75)]
    assert meter.take_new() == []
    assert next(meter.records()) == UsageRecord(HOUR, "arcade", "m", "1", "rows", 9, 77, 1.75)


def test_metering_is_cheap_enough_for_the_hot_path() -> None:
    meter = UsageMeter()
    best = min(timeit.repeat(lambda: meter.add("a", "m", "1", "rows", 1, 0.1), number=2_000, repeat=10)) / 2_000
    assert best < 5e-6  # 0.4 µs; room for a slow or busy machine
