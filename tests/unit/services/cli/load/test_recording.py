from __future__ import annotations

from array import array
from random import Random

import numpy
import pytest

from services.cli.load.histograms import histogram, percentiles, record, share_above
from services.cli.load.plan import Calls
from services.cli.load.recording import Recording

OUTCOMES = [(0, "OK", ""), (1, "OK", ""), (0, "RESOURCE_EXHAUSTED", "QUEUE_FULL"), (0, "NOT_SENT", "IN_FLIGHT_LIMIT")]


def calls(*rows: tuple[int, int, int, int]) -> Calls:
    return Calls((), array("q", [number for row in rows for number in row]).tobytes(), 0)


def test_recording_many_at_once_equals_one_at_a_time() -> None:
    chance = Random(1)
    values = [int(chance.lognormvariate(8, 2)) for _ in range(5000)]
    one_by_one, at_once = histogram(), histogram()
    for value in values:
        one_by_one.record_value(value)
    record(at_once, numpy.array(values[:2000]))
    record(at_once, numpy.array(values[2000:]))
    assert at_once.equals(one_by_one)
    assert at_once.get_max_value() == one_by_one.get_max_value()
    for level, milliseconds in percentiles(at_once, [50, 99, 99.9]).items():
        assert milliseconds == pytest.approx(numpy.percentile(values, level) / 1000, rel=0.02)
    assert share_above(at_once, 10) == pytest.approx(numpy.mean(numpy.array(values) > 10_000), abs=0.002)


def test_processes_merge_into_what_one_process_would_have_recorded() -> None:
    chance = Random(2)
    rows = [(chance.choice([0, 1, 2]), chance.randrange(4_000_000), 10, chance.randrange(50_000)) for _ in range(900)]
    whole, parts = Recording(2, 0.5), [Recording(2, 0.5) for _ in range(3)]
    whole.add(OUTCOMES, calls(*rows))
    for place, part in enumerate(parts):
        part.add(OUTCOMES, calls(*rows[place::3]))
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    for one, other in zip(merged.steps, whole.steps, strict=True):
        assert (one.offered, one.ok, one.failures) == (other.offered, other.ok, other.failures)
        assert one.latency.equals(other.latency)
        assert one.service.equals(other.service)
    assert merged.total.offered == 900
    assert merged.goodput(4) == whole.goodput(4) == whole.goodput(4, 0) + whole.goodput(4, 1) > 0
    assert [part.good for part in merged.course(4)] == [part.good for part in whole.course(4)]


def test_the_warm_up_counts_for_nothing_but_answers_that_come_later() -> None:
    recording = Recording(2, 1.0)
    recording.add(OUTCOMES, calls((0, -500_000, 0, 100_000), (0, -50_000, 0, 100_000), (1, 0, 0, 1000)))
    assert recording.total.offered == 1
    assert recording.goodput(1) == 2


def test_calls_that_were_not_sent_are_failures_without_latency() -> None:
    recording = Recording(2, 1.0)
    recording.add(OUTCOMES, calls((3, 10, -1, 0), (0, 20, 5, 1000)))
    step = recording.steps[0]
    assert (step.offered, step.sent, step.not_sent, step.ok) == (2, 1, 1, 1)
    assert step.latency.total_count == 1
    assert step.latency.get_max_value() == 1005  # from the time it was due
    assert step.service.get_max_value() == 1000


def test_answers_after_the_measured_time_are_no_goodput() -> None:
    recording = Recording(2, 1.0)
    recording.add(OUTCOMES, calls((0, 1_900_000, 0, 500_000), (0, 1_000_000, 0, 1000)))
    assert recording.total.ok == 2
    assert recording.goodput(2) == 1 / 2


@pytest.mark.parametrize("seconds", [0.8, 1.1, 1.3, 1.7, 2.3, 3.1, 45.0, 100.0])
def test_goodput_ends_with_the_measured_time_however_it_is_cut_into_intervals(seconds: float) -> None:
    interval = seconds / max(1, round(seconds / max(0.25, seconds / 120)))
    recording = Recording(2, interval)
    end = int(seconds * 1e6)
    inside = [(0, place * end // 100, 0, 1000) for place in range(99)]
    after = [(0, end - 1000, 0, 5000 + place) for place in range(50)]  # the answers of a backlog
    recording.add(OUTCOMES, calls(*inside, *after))
    assert recording.goodput(seconds) == pytest.approx(99 / seconds)
    assert len(recording.course(seconds)) == round(seconds / interval)


def test_after_an_early_end_only_whole_intervals_count() -> None:
    recording = Recording(2, 1.0)
    recording.add(OUTCOMES, calls(*((0, place * 100_000, 0, 0) for place in range(25))))
    assert recording.goodput(2.5) == 10
    assert len(recording.course(2.5)) == 3
    assert recording.goodput(0.4) == 0
