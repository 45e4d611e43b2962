from __future__ import annotations

import pytest

from services.cli.load.crew import Crew, Load, Result, Share
from services.cli.load.plan import Plan
from services.cli.load.ramp import RampOptions, find_knee
from services.cli.load.recording import Recording
from tests.support.load_server import Capacity, load_server
from tests.unit.services.cli.load.conftest import embed
from tests.unit.services.cli.load.test_recording import OUTCOMES, calls


def pretend(rate: float, capacity: float, milliseconds: float = 5.0) -> Result:
    """One second against a server that answers up to its capacity and refuses the rest."""
    recording = Recording(2, 1.0)
    count = round(rate)
    rows = [
        (0 if place < capacity else 2, int(place * 1e6 / count * 0.9), 0, int(milliseconds * 1000))
        for place in range(count)
    ]
    recording.add(OUTCOMES, calls(*rows))
    return Result(Load(rate=rate), 1.0, recording, [Share(1.0, 0.1)])


@pytest.mark.parametrize(("start", "capacity"), [(50, 333), (100, 110), (800, 333), (333, 334)])
def test_the_knee_is_where_the_capacity_is(start: float, capacity: float) -> None:
    knee = find_knee(lambda rate: pretend(rate, capacity), RampOptions(start=start, bisections=5))
    assert knee.rate == pytest.approx(capacity, rel=0.05)
    assert knee.first_problem is not None
    assert knee.rate is not None
    assert knee.first_problem.rate > knee.rate


def test_one_bad_step_does_not_end_the_ramp() -> None:
    hiccups = {100.0}

    def measure(rate: float) -> Result:
        bad = rate in hiccups
        hiccups.discard(rate)
        return pretend(rate, 10 if bad else 500)

    assert find_knee(measure, RampOptions(start=50, factor=2)).rate == pytest.approx(500, rel=0.1)


def test_the_objective_ends_it_and_so_does_the_highest_rate() -> None:
    slow = find_knee(lambda rate: pretend(rate, 1e9, rate / 10), RampOptions(start=50, objective_ms=20, bisections=5))
    assert slow.rate == pytest.approx(200, rel=0.05)
    most = find_knee(lambda rate: pretend(rate, 1e9), RampOptions(start=50, most=100))
    assert most.rate == pytest.approx(97.7, abs=0.1)
    assert most.first_problem is None


def test_a_server_that_never_answers_well_has_no_knee() -> None:
    knee = find_knee(lambda rate: pretend(rate, 0), RampOptions(start=50))
    assert knee.rate is None
    assert knee.first_problem is not None
    assert "no good answer" in knee.first_problem.problem


def test_the_knee_of_a_real_server_with_a_known_capacity() -> None:
    with load_server(lambda: Capacity(slots=8, seconds=0.04)) as server:  # 200 calls a second
        step = embed(server.address, deadline_seconds=1)
        with Crew(Plan((step,)), 1) as crew:

            def measure(rate: float) -> Result:
                return crew.run(Load(rate=rate, seconds=0.8, warm_up_seconds=0.2, arrivals="uniform"))

            knee = find_knee(measure, RampOptions(start=80, factor=1.6, bisections=1))
    assert knee.rate is not None
    assert 140 <= knee.rate <= 210
    assert knee.first_problem is not None
    assert "goodput" in knee.first_problem.problem
    # Answers come eight at a time, so the edges of the 0.8 s may hold a lot more than the capacity.
    assert max(point.goodput for point in knee.points) <= 200 + 8 / 0.8 + 0.01
