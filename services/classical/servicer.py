"""`ClassicalService`: from RPC to pipeline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.classical.v1 import classical_service_pb2_grpc
from marquee.common.v1 import report_pb2
from services.classical.pipelines.behaviour import BehaviourPipeline, read_query
from services.classical.pipelines.ranking import RankingPipeline
from services.classical.pipelines.toxicity import ToxicityPipeline, check_texts
from services.runtime.bundles.candidates import generate_candidates
from services.runtime.errors import NotFound
from services.runtime.model_service import ModelService, model_report
from services.runtime.repository.requested import RequestedModels
from services.runtime.request_context import CallContext
from services.runtime.response_cache import texts_key
from services.runtime.validation import Violations


class ClassicalServicer(classical_service_pb2_grpc.ClassicalServiceServicer):
    """Answers with the bundles of one classical service."""

    def __init__(self, service: ModelService, default_models: Mapping[int, str], toxicity_model: str) -> None:
        self._service = service
        self._ranking = RankingPipeline(service.bundles)
        self._behaviour = {
            task: RequestedModels(service.models, BehaviourPipeline, name) for task, name in default_models.items()
        }
        self._toxicity = RequestedModels(service.models, ToxicityPipeline, toxicity_model)

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: CallContext
    ) -> pb.GenerateCandidatesResponse:
        """Return candidates by what other users did."""
        candidates = await generate_candidates(self._service.plane, self._service.candidates, request.query)
        return pb.GenerateCandidatesResponse(candidates=candidates)

    async def RankCandidates(
        self, request: pb.RankCandidatesRequest, context: CallContext
    ) -> pb.RankCandidatesResponse:
        """Order candidates and say what decided."""
        ranked, timings = await self._service.plane.infer(self._ranking, request)
        return pb.RankCandidatesResponse(
            candidates=ranked.candidates,
            report=report_pb2.ModelReport(
                model=f"ranker {ranked.ranker}",
                version=request.bundle_version,
                queue_microseconds=timings.queue_microseconds,
                compute_microseconds=timings.compute_microseconds,
            ),
        )

    async def PredictBehaviour(
        self, request: pb.PredictBehaviourRequest, context: CallContext
    ) -> pb.PredictBehaviourResponse:
        """Predict from when users came whether, when and for how much they come again."""
        check = Violations()
        if request.task not in self._behaviour:
            check.add("task", f"is {request.task}; name what is asked, for example BEHAVIOUR_TASK_RETURN")
        query, horizon = read_query(check, request)
        serving, pipeline = await self._behaviour[request.task].get(request.model)
        _check_task(request, serving.model.manifest.task)
        values, timings = await self._service.plane.infer(pipeline, query, model=serving.identity)
        report = model_report(serving, timings)
        if request.task == pb.BEHAVIOUR_TASK_SEGMENT:
            names = [pipeline.labels[int(value)] if numpy.isfinite(value) else "" for value in values]
            return pb.PredictBehaviourResponse(values=values.tolist(), segments=names, report=report)
        if request.task == pb.BEHAVIOUR_TASK_NEXT_SESSION:
            values *= numpy.float32(horizon)
        return pb.PredictBehaviourResponse(values=values.tolist(), report=report)

    async def ScoreToxicity(self, request: pb.ScoreToxicityRequest, context: CallContext) -> pb.ScoreToxicityResponse:
        """Say how offensive texts are, and which words make them so."""
        check = Violations()
        check_texts(check, request.texts)
        check.raise_if_any()
        serving, pipeline = await self._toxicity.get(request.model)
        results, timings = await self._service.plane.infer(
            pipeline, request.texts, model=serving.identity, cache_key=lambda: texts_key(request.texts)
        )
        return pb.ScoreToxicityResponse(results=results, report=model_report(serving, timings))


def _check_task(request: pb.PredictBehaviourRequest, task: str) -> None:
    """Refuse a model that was fitted for another task."""
    wanted = pb.BehaviourTask.Name(request.task).removeprefix("BEHAVIOUR_TASK_").lower().replace("_", "-")
    if task != f"behaviour-{wanted}":
        advice = f"it does {task}; ask one for behaviour-{wanted}"
        raise NotFound("model", "model", request.model[:200], advice)
