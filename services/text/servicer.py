"""`TextService`: from RPC to pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from marquee.common.v1 import vector_pb2
from marquee.text.v1 import generation_pb2, text_service_pb2_grpc
from marquee.text.v1 import text_service_pb2 as pb
from services.runtime.bundles.candidates import generate_candidates
from services.runtime.model_service import ModelService, model_report
from services.runtime.repository.requested import RequestedModels
from services.runtime.repository.serving import PipelineFactory, ServingModel
from services.runtime.request_context import CallContext
from services.runtime.response_cache import texts_key
from services.runtime.validation import Violations
from services.text.pipelines.generation.options import read_request
from services.text.pipelines.generation.pipeline import GenerationPipeline, Progress
from services.text.pipelines.label_scores import check_labels, check_top_count, classify
from services.text.pipelines.text_classification import TextClassificationPipeline, best_labels
from services.text.pipelines.text_vectors import TextVectorPipeline
from services.text.pipelines.token_batches import check_texts
from services.text.pipelines.understanding import UnderstandingPipeline, keep_tasks
from services.text.settings import TextSettings

GENERATION = "text-generation"
PIPELINES: dict[str, PipelineFactory] = {
    "sentence-vectors": TextVectorPipeline,
    "word-vectors": TextVectorPipeline,
    "text-classification": TextClassificationPipeline,
    "text-understanding": UnderstandingPipeline,
    GENERATION: GenerationPipeline,
}


class TextServicer(text_service_pb2_grpc.TextServiceServicer):
    """Answers with the models of one text service."""

    def __init__(self, service: ModelService, settings: TextSettings) -> None:
        self._service = service
        self._vectors = RequestedModels(service.models, TextVectorPipeline, settings.default_model)
        self._labelling: RequestedModels[TextVectorPipeline | TextClassificationPipeline] = RequestedModels(
            service.models, (TextVectorPipeline, TextClassificationPipeline), settings.default_model
        )
        self._understanding = RequestedModels(
            service.models, UnderstandingPipeline, settings.default_understanding_model
        )
        self._sentiment = RequestedModels(service.models, UnderstandingPipeline, settings.default_sentiment_model)
        self._generation = RequestedModels(service.models, GenerationPipeline, settings.default_generation_model)

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
            truncated_count=sum(found.cut),
            report=model_report(serving, timings),
        )

    async def ClassifyText(self, request: pb.ClassifyTextRequest, context: CallContext) -> pb.ClassifyTextResponse:
        """Score texts against the caller's labels, or those of a model that has its own."""
        check = Violations()
        check_texts(check, request.texts)
        # Only the model tells whether no labels are too few; the default one wants some.
        own = bool(request.model) and not request.labels
        top_count = (
            check_top_count(check, request.top_count) if own else check_labels(check, request.labels, request.top_count)
        )
        check.raise_if_any()
        serving, pipeline = await self._labelling.get(request.model)
        if isinstance(pipeline, TextClassificationPipeline):
            return await self._classify_by_own_labels(request, serving, pipeline, top_count)
        if own:
            check_labels(check, request.labels, request.top_count)
            check.raise_if_any()
        texts = [*request.texts, *request.labels]
        found, timings = await self._service.plane.infer(
            pipeline, texts, model=serving.identity, cache_key=lambda: texts_key(texts)
        )
        return pb.ClassifyTextResponse(
            results=classify(found.vectors, request.labels, top_count, found.cut), report=model_report(serving, timings)
        )

    async def _classify_by_own_labels(
        self,
        request: pb.ClassifyTextRequest,
        serving: ServingModel,
        pipeline: TextClassificationPipeline,
        top_count: int,
    ) -> pb.ClassifyTextResponse:
        if request.labels:
            check = Violations()
            check.add("labels", f"has entries; {serving.identity.name} has labels of its own, so leave the field empty")
            check.raise_if_any()
        found, timings = await self._service.plane.infer(
            pipeline, request.texts, model=serving.identity, cache_key=lambda: texts_key(request.texts)
        )
        return pb.ClassifyTextResponse(
            results=best_labels(found.probabilities, pipeline.labels, top_count, found.cut),
            report=model_report(serving, timings),
        )

    async def UnderstandText(
        self, request: pb.UnderstandTextRequest, context: CallContext
    ) -> pb.UnderstandTextResponse:
        """Say what texts feel like and whether they harm."""
        check = Violations()
        check_texts(check, request.texts)
        for index, task in enumerate(request.tasks):
            if task not in pb.UnderstandingTask.values() or task == pb.UNDERSTANDING_TASK_UNSPECIFIED:
                check.add(f"tasks[{index}]", f"is {task}; name a task, for example UNDERSTANDING_TASK_SENTIMENT")
        check.raise_if_any()
        sentiment_alone = set(request.tasks) == {pb.UNDERSTANDING_TASK_SENTIMENT}
        models = self._sentiment if sentiment_alone else self._understanding
        serving, pipeline = await models.get(request.model)
        tasks = frozenset(request.tasks) or pipeline.tasks
        for index, task in enumerate(request.tasks):
            if task not in pipeline.tasks:
                name = pb.UnderstandingTask.Name(task)
                check.add(f"tasks[{index}]", f"{serving.identity.name} does not do {name}; leave the model empty")
        check.raise_if_any()
        found, timings = await self._service.plane.infer(
            pipeline, request.texts, model=serving.identity, cache_key=lambda: texts_key(request.texts)
        )
        return pb.UnderstandTextResponse(
            results=[keep_tasks(result, tasks) for result in found.results],
            token_count=found.token_count,
            truncated_count=found.truncated_count,
            report=model_report(serving, timings),
        )

    async def GenerateText(
        self, request: generation_pb2.GenerateTextRequest, context: CallContext
    ) -> AsyncIterator[generation_pb2.GenerateTextResponse]:
        """Go on from a prompt, piece by piece."""
        asked = read_request(request)
        serving, pipeline = await self._generation.get(request.model)
        progress, first = Progress(), True
        async with aclosing(pipeline.generate(self._service.plane, serving.identity, asked, progress)) as pieces:
            async for piece in pieces:
                if not (piece.text or piece.tokens or piece.finish):
                    continue
                response = generation_pb2.GenerateTextResponse(text=piece.text, tokens=piece.tokens)
                if first:
                    response.seed, first = asked.seed, False
                if piece.finish:
                    response.finish_reason = piece.finish
                    response.usage.CopyFrom(progress.usage())
                    response.report.CopyFrom(model_report(serving, progress.timings))
                yield response

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: CallContext
    ) -> pb.GenerateCandidatesResponse:
        """Return candidates by the text vectors of a bundle's items."""
        candidates = await generate_candidates(self._service.plane, self._service.candidates, request.query)
        return pb.GenerateCandidatesResponse(candidates=candidates)
