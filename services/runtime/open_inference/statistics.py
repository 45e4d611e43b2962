"""What the statistics extension tells of one version, counted since the version was loaded."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from inference import open_inference_pb2 as pb
from services.runtime.data_plane import Timings


@dataclass(slots=True)
class _Duration:
    count: int = 0
    nanoseconds: int = 0

    def add(self, nanoseconds: int) -> None:
        self.count += 1
        self.nanoseconds += nanoseconds

    def message(self) -> pb.StatisticDuration:
        return pb.StatisticDuration(count=self.count, ns=self.nanoseconds)


class StatisticsRecorder:
    """Counts the requests of one version. `ran` is called on engines, everything else on the event loop."""

    def __init__(self) -> None:
        self._success = _Duration()
        self._fail = _Duration()
        self._queue = _Duration()
        self._input = _Duration()
        self._infer = _Duration()
        self._output = _Duration()
        self._cache_hit = _Duration()
        self._rows = 0
        self._last = 0.0
        self._runs: dict[int, _Duration] = {}
        self._runs_lock = threading.Lock()

    def ran(self, rows: int, seconds: float) -> None:
        """Count one run of the model, of one request or of several."""
        with self._runs_lock:
            runs = self._runs.get(rows)
            if runs is None:
                runs = self._runs[rows] = _Duration()
            runs.count += 1
            runs.nanoseconds += int(seconds * 1e9)

    def answered(self, rows: int, seconds: float, timings: Timings) -> None:
        """Count one answered request."""
        self._last = time.time()
        self._rows += rows
        self._success.add(int(seconds * 1e9))
        if timings.cached:
            self._cache_hit.add(int(seconds * 1e9))
            return
        # The data plane's queue time lasts until the first run and so has the preparation in it.
        self._queue.add(max(0, timings.queue_microseconds - timings.prepare_microseconds) * 1000)
        self._input.add(timings.prepare_microseconds * 1000)
        self._infer.add(timings.compute_microseconds * 1000)
        self._output.add(timings.finish_microseconds * 1000)

    def failed(self, seconds: float) -> None:
        """Count one request that was refused, failed or given up."""
        self._last = time.time()
        self._fail.add(int(seconds * 1e9))

    def message(self, name: str, version: str) -> pb.ModelStatistics:
        """Return the statistics under the model's name and version."""
        with self._runs_lock:
            runs = sorted((rows, duration.count, duration.nanoseconds) for rows, duration in self._runs.items())
        return pb.ModelStatistics(
            name=name,
            version=version,
            last_inference=int(self._last * 1000),
            inference_count=self._rows,
            execution_count=sum(count for _, count, _ in runs),
            inference_stats=pb.InferStatistics(
                success=self._success.message(),
                fail=self._fail.message(),
                queue=self._queue.message(),
                compute_input=self._input.message(),
                compute_infer=self._infer.message(),
                compute_output=self._output.message(),
                cache_hit=self._cache_hit.message(),
            ),
            batch_stats=[
                pb.InferBatchStatistics(
                    batch_size=rows, compute_infer=pb.StatisticDuration(count=count, ns=nanoseconds)
                )
                for rows, count, nanoseconds in runs
            ],
        )
