"""`ClassicalService`: from RPC to pipeline."""

from __future__ import annotations

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.classical.v1 import classical_service_pb2_grpc
from marquee.common.v1 import report_pb2
from services.classical.pipelines.ranking import RankingPipeline
from services.runtime.bundles.candidates import generate_candidates
from services.runtime.model_service import ModelService
from services.runtime.request_context import CallContext


class ClassicalServicer(classical_service_pb2_grpc.ClassicalServiceServicer):
    """Answers with the bundles of one classical service."""

    def __init__(self, service: ModelService) -> None:
        self._service = service
        self._ranking = RankingPipeline(service.bundles)

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
