"""Coordinated omission: a server that stalls for a second must cost what it would cost its callers."""

from __future__ import annotations

import pytest

from services.cli.load.crew import Load
from services.cli.load.diagnosis import notes
from services.cli.load.histograms import percentiles, share_above
from tests.support.load_server import Stalls, load_server
from tests.unit.services.cli.load.conftest import Measure

SECONDS, STALL = 5.0, 1.0


def test_the_open_loop_reports_a_stall_as_its_callers_felt_it(measure: Measure) -> None:
    with load_server(lambda: Stalls(after=0.5 + SECONDS / 2, seconds=STALL)) as server:
        result = measure(server.address, Load(rate=200, seconds=SECONDS, warm_up_seconds=0.5), 2)
    total = result.recording.total
    assert total.offered == pytest.approx(200 * SECONDS, rel=0.1)  # the stall kept no call from being sent
    assert total.ok == total.offered
    # A call that was due x seconds into the stall waits for the rest of it, so latency is spread evenly over 0 to 1 s.
    assert share_above(total.latency, 500) == pytest.approx((STALL - 0.5) / SECONDS, abs=0.03)
    assert share_above(total.latency, 250) == pytest.approx((STALL - 0.25) / SECONDS, abs=0.04)
    found = percentiles(total.latency, [50, 99, 100])
    assert found[50] < 150
    assert found[99] == pytest.approx(1000 * (STALL - 0.01 * SECONDS), abs=200)
    assert found[100] == pytest.approx(1000 * STALL, abs=250)
    stalled = [one for one in result.recording.course(SECONDS) if one.offered and not one.good]
    assert len(stalled) * result.recording.interval_seconds == pytest.approx(STALL, abs=0.5)


def test_the_closed_loop_hides_the_same_stall_and_says_so(measure: Measure) -> None:
    with load_server(lambda: Stalls(after=1.5, seconds=STALL)) as server:
        result = measure(server.address, Load(callers=4, seconds=3, warm_up_seconds=0.3), 1)
    total = result.recording.total
    assert share_above(total.latency, 500) < 0.02  # 4 calls of thousands, although a third of the time was lost
    assert percentiles(total.latency, [100])[100] > 800
    assert any("Closed loop" in note for note in notes(result))
