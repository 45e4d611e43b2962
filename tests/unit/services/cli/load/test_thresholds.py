from __future__ import annotations

import pytest

from services.cli.failures import CommandFailed
from services.cli.load.thresholds import parse_conditions
from tests.unit.services.cli.load.test_ramp import pretend


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("p99>4ms", True),
        ("p99>6ms", False),
        ("p99.9>=0.004s", True),
        ("max>4000us", True),
        ("p50<4", False),
        ("errors>49%", True),
        ("errors>51%", False),
        ("goodput<90%", True),
        ("goodput<49/s", False),
        ("not_sent>0%", False),
    ],
)
def test_conditions(text: str, broken: bool) -> None:
    (condition,) = parse_conditions([text])
    assert condition.broken(pretend(100, 50)) is broken


def test_several_conditions_in_one_word() -> None:
    texts = [one.text for one in parse_conditions(["p99>50ms, errors>1%", "max>2s goodput<95%"])]
    assert texts == ["p99>50ms", "errors>1%", "max>2s", "goodput<95%"]


def test_without_a_good_call_every_condition_fails() -> None:
    (condition,) = parse_conditions(["p99>1000s"])
    assert condition.broken(pretend(100, 0))


@pytest.mark.parametrize("text", ["p99", "p101>1ms", "errors>1ms", "speed>9", "p99=5ms", "p99>5m"])
def test_what_is_no_condition_is_told_with_what_is(text: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        parse_conditions([text])
    assert "goodput<95%" in caught.value.advice
