"""What the orchestrator counts of its own answers, read as Prometheus reads it."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from marquee.common.v1.report_pb2 import (
    STEP_OUTCOME_FALLBACK,
    STEP_OUTCOME_OK,
    STEP_OUTCOME_SKIPPED,
    StepReport,
)
from marquee.entertainment.v1 import event_service_pb2, media_service_pb2
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.recommendation_service_pb2_grpc import (
    RecommendationServiceServicer,
    add_RecommendationServiceServicer_to_server,
)
from services.orchestrator.answer_metrics import AnswerMetrics, counting_attachment
from services.runtime.observability.metrics import Metrics

RECOMMEND = "marquee.entertainment.v1.RecommendationService/Recommend"


def step(name: str, service: str, outcome: int = STEP_OUTCOME_OK, milliseconds: float = 3.0) -> StepReport:
    return StepReport(step=name, service=service, outcome=outcome, milliseconds=milliseconds)  # type: ignore[arg-type]


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by their label values in alphabetical order of the labels."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("orchestrator", "1")


@pytest.fixture
def answers(metrics: Metrics) -> AnswerMetrics:
    return AnswerMetrics(metrics)


def test_whole_and_degraded_answers_are_told_apart(metrics: Metrics, answers: AnswerMetrics) -> None:
    answers.count(RECOMMEND, pb.RecommendResponse())
    answers.count(RECOMMEND, pb.RecommendResponse(degraded=True))
    answers.count(RECOMMEND, pb.RecommendResponse(degraded=True))
    assert series(metrics, "marquee_answers_total") == {(RECOMMEND, "whole"): 1, (RECOMMEND, "degraded"): 2}


def test_steps_are_timed_and_those_that_were_lost_are_named(metrics: Metrics, answers: AnswerMetrics) -> None:
    steps = [
        step("rank", "classical", STEP_OUTCOME_FALLBACK),
        step("candidates/text", "text"),
        step("candidates/vision", "vision", STEP_OUTCOME_SKIPPED),
    ]
    answers.count(RECOMMEND, pb.RecommendResponse(degraded=True, steps=steps))
    assert series(metrics, "marquee_step_fallbacks_total") == {("classical", "rank"): 1}
    assert series(metrics, "marquee_step_duration_seconds_count") == {
        ("classical", "rank"): 1,
        ("text", "candidates/text"): 1,
    }
    assert series(metrics, "marquee_step_duration_seconds_sum")["classical", "rank"] == pytest.approx(0.003)


def test_the_end_of_a_stream_counts_as_its_answer(metrics: Metrics, answers: AnswerMetrics) -> None:
    answers.count("m", media_service_pb2.AnalyzeClipResponse())
    summary = media_service_pb2.ClipSummary(degraded=True, steps=[step("media/clip", "vision")])
    answers.count("m", media_service_pb2.AnalyzeClipResponse(summary=summary))
    assert series(metrics, "marquee_answers_total") == {("m", "degraded"): 1}


def test_replies_that_are_not_composed_are_not_counted(metrics: Metrics, answers: AnswerMetrics) -> None:
    answers.count("m", event_service_pb2.WriteEventsResponse(written_count=1))
    assert series(metrics, "marquee_answers_total") == {}


def test_the_number_of_series_is_bounded(metrics: Metrics, answers: AnswerMetrics) -> None:
    for number in range(300):
        answers.count("m", pb.RecommendResponse(steps=[step(f"step/{number}", "text", STEP_OUTCOME_FALLBACK)]))
    found = series(metrics, "marquee_step_duration_seconds_count")
    assert len(found) <= 201
    assert sum(found.values()) == 300
    assert series(metrics, "marquee_step_fallbacks_total")["OTHER", "OTHER"] == 100


async def test_replies_of_a_real_server_are_counted_under_their_method(
    metrics: Metrics, answers: AnswerMetrics
) -> None:
    class Servicer(RecommendationServiceServicer):
        async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
            return pb.RecommendResponse(degraded=True)

    server = grpc.aio.server()
    counting_attachment([(add_RecommendationServiceServicer_to_server, Servicer())], answers)(server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(
                f"/{RECOMMEND}",
                request_serializer=pb.RecommendRequest.SerializeToString,
                response_deserializer=pb.RecommendResponse.FromString,
            )
            assert (await call(pb.RecommendRequest())).degraded
    finally:
        await server.stop(None)
    assert series(metrics, "marquee_answers_total") == {(RECOMMEND, "degraded"): 1}
