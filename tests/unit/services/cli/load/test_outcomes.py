from __future__ import annotations

import grpc
import pytest

from services.cli.load.crew import Crew, Load
from services.cli.load.diagnosis import generator_problems, notes
from services.cli.load.plan import Plan
from services.cli.load.thresholds import parse_conditions
from services.runtime.errors import ServiceError
from tests.support.load_server import Capacity, Refuses, load_server
from tests.unit.services.cli.load.conftest import Measure, embed

BUSY = ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "try again", retry_after_seconds=0.1)


def test_refusals_are_counted_by_code_and_reason(measure: Measure) -> None:
    with load_server(lambda: Refuses(every=4, error=BUSY)) as server:
        result = measure(server.address, Load(rate=200, seconds=1.2, warm_up_seconds=0.2), 2)
    total = result.recording.total
    assert list(total.failures) == [("RESOURCE_EXHAUSTED", "QUEUE_FULL")]
    assert total.failures.total() == pytest.approx(total.offered / 4, abs=2)
    assert total.failed["RESOURCE_EXHAUSTED", "QUEUE_FULL"].total_count == total.failures.total()
    assert total.latency.total_count == total.ok
    (errors,) = parse_conditions(["errors>20%"])
    assert errors.broken(result)


def test_an_open_loop_never_slows_down_and_tells_what_it_could_not_send(measure: Measure) -> None:
    with load_server(lambda: Capacity(slots=2, seconds=0.1)) as server:  # 20 calls a second
        load = Load(rate=200, arrivals="uniform", seconds=2, warm_up_seconds=0, max_in_flight=20)
        result = measure(server.address, load, 2)
    total = result.recording.total
    assert total.offered == 400
    assert total.sent == pytest.approx(20 + 2 * 20, abs=12)
    assert total.failures["NOT_SENT", "IN_FLIGHT_LIMIT"] == total.not_sent == 400 - total.sent
    assert result.goodput == pytest.approx(20, abs=8)
    assert any("not sent" in note for note in notes(result))
    assert not generator_problems(result)


def test_calls_over_their_deadline_fail_and_the_percentiles_say_what_they_leave_out() -> None:
    with (
        load_server(lambda: Capacity(slots=4, seconds=0.1)) as server,
        Crew(Plan((embed(server.address, 0.4),)), 1) as crew,
    ):
        result = crew.run(Load(rate=100, seconds=1.2, warm_up_seconds=0))
        assert result.recording.total.failures["DEADLINE_EXCEEDED", ""] > 30
        assert result.recording.total.latency.get_max_value() < 600_000
        again = crew.run(Load(rate=20, seconds=1, warm_up_seconds=0))  # a crew runs many loads, and each counts anew
    assert not again.recording.total.failures
    assert again.recording.total.ok == again.recording.total.offered


def test_generator_and_server_are_told_apart(measure: Measure) -> None:
    with load_server() as server:
        result = measure(server.address, Load(rate=100, seconds=1, warm_up_seconds=0.2), 2)
    assert len(result.generators) == 2
    assert all(0 < share.of_a_core < 0.85 for share in result.generators)
    result.generators[0] = type(result.generators[0])(1.0, 0.97)
    assert "97% of a core" in generator_problems(result)[0]
