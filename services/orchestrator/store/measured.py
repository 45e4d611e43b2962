"""A store that notes how long each operation took and why it failed, around whichever store is used."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from services.orchestrator.store.protocol import Store
from services.runtime.errors import ServiceError
from services.runtime.observability.accumulators import RUN_SECONDS, Histogram
from services.runtime.observability.metrics import Metrics


def measured(store: Store, metrics: Metrics) -> Store:
    """Return the store, reporting its operations to `metrics`. Those that stream are as fast as who reads them, and
    are not timed.
    """
    return cast(Store, _MeasuredStore(store, metrics))


class _MeasuredStore:
    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._seconds: dict[str, Histogram] = {}
        self._failures: dict[tuple[str, str], int] = {}
        metrics.watch(
            "marquee_store_duration_seconds", lambda: [((name,), seconds) for name, seconds in self._seconds.items()]
        )
        metrics.watch("marquee_store_failures_total", lambda: list(self._failures.items()))

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)
        if inspect.iscoroutinefunction(operation):
            operation = self._timed(name, operation)
            # Found by itself from now on, without this method.
            self.__dict__[name] = operation
        return operation

    def _timed(self, name: str, operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def timed(*arguments: Any, **options: Any) -> Any:
            begin = time.monotonic()
            try:
                return await operation(*arguments, **options)
            except ServiceError as error:
                key = (name, error.reason)
                self._failures[key] = self._failures.get(key, 0) + 1
                raise
            finally:
                self._seconds.setdefault(name, Histogram(RUN_SECONDS)).observe(time.monotonic() - begin)

        return timed
