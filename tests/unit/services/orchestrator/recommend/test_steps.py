from __future__ import annotations

import time

import grpc
import pytest

from marquee.common.v1 import report_pb2
from marquee.common.v1.report_pb2 import (
    STEP_OUTCOME_FAILED,
    STEP_OUTCOME_FALLBACK,
    STEP_OUTCOME_OK,
    STEP_OUTCOME_SKIPPED,
    StepReport,
)
from services.orchestrator.mesh import Family, MeshError
from services.orchestrator.recommend.steps import FALLBACKS, StepLog, describe_model
from services.runtime.errors import Unavailable
from tests.unit.services.orchestrator.builders import rpc_error


def failure(family: Family = "classical", code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> MeshError:
    return MeshError(family, rpc_error(code))


def test_a_step_that_ends_well_is_timed() -> None:
    steps = StepLog()
    with steps.measure("rerank"):
        time.sleep(0.01)
    [report] = steps.reports
    assert (report.step, report.service, report.outcome, report.detail) == (
        "rerank",
        "orchestrator",
        STEP_OUTCOME_OK,
        "",
    )
    assert report.milliseconds >= 10
    assert not steps.degraded


@pytest.mark.parametrize("step", FALLBACKS)
def test_a_missing_service_is_replaced_by_the_declared_fallback(step: str) -> None:
    steps = StepLog()
    with steps.measure(step, "classical"):
        raise failure()
    [report] = steps.reports
    assert report.outcome == STEP_OUTCOME_FALLBACK
    assert report.detail == f"the classical service is down; {FALLBACKS[step]}"
    assert steps.degraded


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "the text service did not answer in time"),
        (grpc.StatusCode.UNAVAILABLE, "the text service is down"),
        (grpc.StatusCode.FAILED_PRECONDITION, "the text service has not loaded what is needed yet"),
        (grpc.StatusCode.INTERNAL, "the text service refused the call: INTERNAL"),
    ],
)
def test_the_report_says_what_was_wrong(code: grpc.StatusCode, why: str) -> None:
    steps = StepLog()
    with steps.measure("something else", "text"):
        raise failure("text", code)
    assert steps.reports[0].detail == f"{why}; the list goes on without it"


@pytest.mark.parametrize("error", [Unavailable("STORE_BUSY", "busy"), ValueError("a bug")])
def test_any_other_error_ends_the_answer(error: Exception) -> None:
    steps = StepLog()
    with pytest.raises(type(error)), steps.measure("history"):
        raise error


def test_skipping_is_not_degraded_but_losing_is() -> None:
    whole, steps = StepLog(), StepLog()
    whole.skip("rank", "classical", "no candidates")
    assert not whole.degraded
    steps.skip("rank", "classical", "no candidates")
    steps.lose("bundle", "nobody has it")
    assert steps.degraded
    assert [(report.step, report.service, report.outcome, report.detail) for report in steps.reports] == [
        ("rank", "classical", STEP_OUTCOME_SKIPPED, "no candidates"),
        ("bundle", "orchestrator", STEP_OUTCOME_FALLBACK, "nobody has it"),
    ]


def test_a_failed_step_is_degraded() -> None:
    steps = StepLog()
    with steps.measure("load", "text") as report:
        report.outcome = STEP_OUTCOME_FAILED
    assert steps.degraded


def test_reports_stand_in_the_order_of_the_starts() -> None:
    steps = StepLog()
    with steps.measure("first"):
        steps.skip("second", "text", "")
    with steps.measure("third"):
        pass
    assert [report.step for report in steps.reports] == ["first", "second", "third"]


def test_a_report_names_what_answered() -> None:
    report = StepReport(step="rank")
    describe_model(report, report_pb2.ModelReport(model="ranker", version="v1"))
    assert (report.model, report.version) == ("ranker", "v1")
