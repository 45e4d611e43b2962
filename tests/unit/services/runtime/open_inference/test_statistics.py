from __future__ import annotations

import time

from services.runtime.data_plane import Timings
from services.runtime.open_inference.statistics import StatisticsRecorder

TIMINGS = Timings(5, 20, False, 4, 2, 3)


def test_nothing_happened_yet() -> None:
    message = StatisticsRecorder().message("m", "1")
    assert (message.name, message.version) == ("m", "1")
    assert message.last_inference == message.inference_count == message.execution_count == 0


def test_requests_are_counted_with_their_times() -> None:
    recorder = StatisticsRecorder()
    recorder.answered(3, 0.00004, TIMINGS)
    recorder.answered(1, 0.00001, Timings(0, 0, cached=True))
    recorder.failed(0.5)
    message = recorder.message("m", "1")
    assert message.inference_count == 4
    assert abs(message.last_inference / 1000 - time.time()) < 5
    figures = message.inference_stats
    assert (figures.success.count, figures.success.ns) == (2, 50_000)
    assert (figures.fail.count, figures.fail.ns) == (1, 500_000_000)
    assert (figures.queue.count, figures.queue.ns) == (1, 3_000)
    assert (figures.compute_input.ns, figures.compute_infer.ns, figures.compute_output.ns) == (2_000, 20_000, 3_000)
    assert figures.cache_hit.count == 1


def test_runs_are_counted_by_their_size() -> None:
    recorder = StatisticsRecorder()
    for rows in (4, 1, 4):
        recorder.ran(rows, 0.001)
    message = recorder.message("m", "1")
    assert message.execution_count == 3
    assert [(entry.batch_size, entry.compute_infer.count) for entry in message.batch_stats] == [(1, 1), (4, 2)]
    assert message.batch_stats[1].compute_infer.ns == 2_000_000
