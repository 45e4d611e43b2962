"""Start the text service: `python -m services.text.main`."""

from __future__ import annotations

from functools import partial

import grpc

from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.model_service import ModelService
from services.runtime.repository.serving import PipelineFactory
from services.runtime.server import ServiceDefinition, run_service
from services.runtime.startup import read_settings
from services.text.pipelines.generation.pipeline import GenerationLimits, GenerationPipeline
from services.text.servicer import GENERATION, PIPELINES, TextServicer
from services.text.settings import TextSettings

CONTRACT = "marquee.text.v1.TextService"


def build(settings: TextSettings) -> ServiceDefinition:
    """Put the service together; nothing is loaded yet."""
    limits = GenerationLimits(
        settings.generation_slots,
        settings.maximum_waiting_generations,
        settings.generation_context_tokens,
        settings.stalled_reader_seconds,
    )
    pipelines: dict[str, PipelineFactory] = {**PIPELINES, GENERATION: partial(GenerationPipeline, limits=limits)}
    service = ModelService("text", settings, pipelines=pipelines, default_model=settings.default_model)
    servicer = TextServicer(service, settings)

    def attach(server: grpc.aio.Server) -> None:
        text_service_pb2_grpc.add_TextServiceServicer_to_server(servicer, server)

    return service.definition(CONTRACT, attach)


if __name__ == "__main__":
    chosen = read_settings(TextSettings, "text")
    run_service(lambda: build(chosen), chosen, "text")
