"""A service with nothing behind it but the dummy model: the runtime's tests need no family and no weights.

It serves `marquee.text.v1.TextService`. EmbedText and GenerateCandidates are real; ClassifyText and a streaming method
do what the test's script says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import numpy
import numpy.typing
from pydantic_settings import SettingsConfigDict
from tokenizers import Tokenizer

from marquee.common.v1 import vector_pb2
from marquee.text.v1 import generation_pb2, text_service_pb2_grpc
from marquee.text.v1 import text_service_pb2 as pb
from services.runtime.bundles.candidates import generate_candidates
from services.runtime.model_service import ModelService, model_report
from services.runtime.pipeline import Pipeline, Prepared
from services.runtime.repository.loader import LoadedModel
from services.runtime.repository.requested import RequestedModels
from services.runtime.repository.serving import PipelineFactory
from services.runtime.server import ServiceDefinition
from services.runtime.settings import ModelServiceSettings
from services.runtime.validation import Violations
from tests.support import dummy_model
from tests.support.servers import RunningServer, running

CONTRACT = "marquee.text.v1.TextService"
EMBED = f"/{CONTRACT}/EmbedText"
SCRIPTED = f"/{CONTRACT}/ClassifyText"
STREAM_CONTRACT = "marquee.test.v1.StreamService"
STREAM = f"/{STREAM_CONTRACT}/Stream"

Floats = numpy.typing.NDArray[numpy.float32]
Ids = numpy.typing.NDArray[numpy.int64]
Script = Callable[[pb.ClassifyTextRequest], Awaitable[pb.ClassifyTextResponse]]
StreamScript = Callable[[pb.ClassifyTextRequest], AsyncIterator[pb.ClassifyTextResponse]]


class DummySettings(ModelServiceSettings):
    """Options of the dummy service."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_DUMMY_", extra="ignore", protected_namespaces=())


class DummyPipeline(Pipeline[Sequence[str], Ids, Floats, Floats]):
    """Texts to vectors, one run a text."""

    def __init__(self, model: LoadedModel) -> None:
        self.placement = model.manifest.placement.placement()
        self._model = model
        self._tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))

    def prepare(self, request: Sequence[str]) -> Prepared[Ids]:
        rows = [numpy.array([self._tokenizer.encode(text).ids or [0]], numpy.int64) for text in request]
        return Prepared(rows, cost=sum(row.size for row in rows))

    def run(self, batch: Ids) -> Floats:
        outputs = self._model.onnx.run({"input_ids": batch, "attention_mask": numpy.ones_like(batch)})
        return outputs["vectors"].astype(numpy.float32)

    def finish(self, prepared: Prepared[Ids], outputs: Sequence[Floats]) -> Floats:
        return numpy.concatenate(outputs)


async def _unscripted(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
    return pb.ClassifyTextResponse()


async def _unscripted_stream(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
    yield pb.ClassifyTextResponse()


class DummyServicer(text_service_pb2_grpc.TextServiceServicer):
    """Answers EmbedText with the dummy model, ClassifyText with `script` and Stream with `stream_script`."""

    def __init__(self, service: ModelService) -> None:
        self.script: Script = _unscripted
        self.stream_script: StreamScript = _unscripted_stream
        self.service = service
        self.vectors = RequestedModels(service.models, DummyPipeline, dummy_model.NAME)

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Any) -> pb.EmbedTextResponse:
        check = Violations()
        if check.count("texts", request.texts, minimum=1, maximum=64):
            for index, text in enumerate(request.texts):
                check.text(f"texts[{index}]", text, maximum=1000)
        check.raise_if_any()
        serving, pipeline = await self.vectors.get(request.model)
        vectors, timings = await self.service.plane.infer(pipeline, request.texts, model=serving.identity)
        return pb.EmbedTextResponse(
            vectors=[vector_pb2.Vector(values=vector.astype("<f4").tobytes()) for vector in vectors],
            dimensions=vectors.shape[1],
            report=model_report(serving, timings),
        )

    async def ClassifyText(self, request: pb.ClassifyTextRequest, context: Any) -> pb.ClassifyTextResponse:
        return await self.script(request)

    async def UnderstandText(self, request: pb.UnderstandTextRequest, context: Any) -> pb.UnderstandTextResponse:
        raise NotImplementedError

    def GenerateText(
        self, request: generation_pb2.GenerateTextRequest, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateTextResponse]:
        raise NotImplementedError

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: Any
    ) -> pb.GenerateCandidatesResponse:
        candidates = await generate_candidates(self.service.plane, self.service.candidates, request.query)
        return pb.GenerateCandidatesResponse(candidates=candidates)

    async def Stream(self, request: pb.ClassifyTextRequest, context: Any) -> AsyncIterator[pb.ClassifyTextResponse]:
        async for response in self.stream_script(request):
            yield response


class DummyService:
    """The service's parts, before and while it runs.

    Args:
        models: folder of the model repository; may be empty.
        bundles: folder of the bundles.
        pipeline: how to make the pipeline of a model.
        default_model: model that the service needs to be ready; none when empty.
        settings: options that differ from the defaults.
    """

    def __init__(
        self,
        models: Path,
        bundles: Path | None = None,
        *,
        pipeline: PipelineFactory = DummyPipeline,
        default_model: str = "",
        **settings: Any,
    ) -> None:
        self.settings = DummySettings(
            model_repository=models,
            bundle_repository=bundles or models.parent / "bundles",
            **{"engines": 2, "drain_seconds": 5.0, "access_log": "all", **settings},
        )
        pipelines = {dummy_model.TASK: pipeline}
        self.service = ModelService("text", self.settings, pipelines=pipelines, default_model=default_model)
        self.servicer = DummyServicer(self.service)

    def definition(self) -> ServiceDefinition:
        """Describe the service to a server."""

        def attach(server: grpc.aio.Server) -> None:
            text_service_pb2_grpc.add_TextServiceServicer_to_server(self.servicer, server)
            stream = grpc.unary_stream_rpc_method_handler(
                self.servicer.Stream,
                request_deserializer=pb.ClassifyTextRequest.FromString,
                response_serializer=pb.ClassifyTextResponse.SerializeToString,
            )
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(STREAM_CONTRACT, {"Stream": stream}),)
            )

        return self.service.definition(CONTRACT, attach)

    def running(self, channel_options: Sequence[tuple[str, object]] = ()) -> AbstractAsyncContextManager[RunningServer]:
        """Run the service for the length of a block."""
        return running(self.definition(), self.settings, channel_options)
