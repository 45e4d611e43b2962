"""A store that is measured behaves as the one inside, and its metrics say what the database does."""

from __future__ import annotations

import pytest

from services.orchestrator.store import Store
from services.orchestrator.store.measured import measured
from services.orchestrator.store.records import BundlePointer, Retention
from services.runtime.errors import Unavailable
from services.runtime.observability.metrics import Metrics


class Locked:
    """A store that another process holds."""

    async def maintain(self, retention: Retention) -> None:
        raise Unavailable("STORE_BUSY", "the store is locked")


async def test_operations_are_timed_and_answer_as_before(store: Store) -> None:
    metrics = Metrics()
    watched = measured(store, metrics)
    assert await watched.bundle_pointer("default") == BundlePointer()
    await watched.bundle_pointer("default")
    assert [page async for page in watched.all_items("default", page_size=10)] == []
    page = metrics.expose().decode()
    assert 'marquee_store_duration_seconds_count{operation="bundle_pointer"} 2' in page
    assert "all_items" not in page
    assert "marquee_store_failures_total" not in page


async def test_failures_are_counted_by_what_the_caller_is_told() -> None:
    metrics = Metrics()
    watched = measured(Locked(), metrics)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await watched.maintain(Retention(None, 0, 0))
    page = metrics.expose().decode()
    assert 'marquee_store_failures_total{operation="maintain",reason="STORE_BUSY"} 1' in page
    assert 'marquee_store_duration_seconds_count{operation="maintain"} 1' in page
