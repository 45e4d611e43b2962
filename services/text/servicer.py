"""`TextService`: from RPC to pipeline."""

from __future__ import annotations

from marquee.common.v1 import vector_pb2
from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.bundles.candidates import generate_candidates
from services.runtime.model_service import ModelService, model_report
from services.runtime.repository.requested import RequestedModels
from services.runtime.request_context import CallContext
from services.runtime.response_cache import texts_key
from services.runtime.validation import Violations
from services.text.pipelines.label_scores import check_labels, classify
from services.text.pipelines.text_vectors import TextVectorPipeline, check_texts

PIPELINES = {"sentence-vectors": TextVectorPipeline, "word-vectors": TextVectorPipeline}


class TextServicer(text_service_pb2_grpc.TextServiceServicer):
    """Answers with the models of one text service."""

    def __init__(self, service: ModelService, default_model: str) -> None:
        self._service = service
        self._vectors = RequestedModels(service.models, TextVectorPipeline, default_model)

    async def EmbedText(self, request: pb.EmbedTextRequest, context: CallContext) -> pb.EmbedTextResponse:
        """Return one vector of length one for each text."""
        check = Violations()
        check_texts(check, request.texts)
        check.raise_if_any()
        serving, pipeline = await self._vectors.get(request.model)
        found, timings = await self._service.plane.infer(
            pipeline, request.texts, model=serving.identity, cache_key=lambda: texts_key(request.texts)
        )
        return pb.EmbedTextResponse(
            vectors=[vector_pb2.Vector(values=vector.astype("<f4", copy=False).tobytes()) for vector in found.vectors],
            dimensions=pipeline.dimensions,
            token_count=found.token_count,
            truncated_count=found.truncated_count,
            report=model_report(serving, timings),
        )

    async def ClassifyText(self, request: pb.ClassifyTextRequest, context: CallContext) -> pb.ClassifyTextResponse:
        """Score texts against the caller's labels."""
        check = Violations()
        check_texts(check, request.texts)
        top_count = check_labels(check, request.labels, request.top_count)
        check.raise_if_any()
        serving, pipeline = await self._vectors.get(request.model)
        texts = [*request.texts, *request.labels]
        found, timings = await self._service.plane.infer(
            pipeline, texts, model=serving.identity, cache_key=lambda: texts_key(texts)
        )
        return pb.ClassifyTextResponse(
            results=classify(found.vectors, request.labels, top_count), report=model_report(serving, timings)
        )

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: CallContext
    ) -> pb.GenerateCandidatesResponse:
        """Return candidates by the text vectors of a bundle's items."""
        candidates = await generate_candidates(self._service.plane, self._service.candidates, request.query)
        return pb.GenerateCandidatesResponse(candidates=candidates)
