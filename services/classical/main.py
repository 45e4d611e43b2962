"""Start the classical service: `python -m services.classical.main`."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.classical.v1 import classical_service_pb2_grpc
from services.classical.pipelines.behaviour import BehaviourPipeline
from services.classical.pipelines.toxicity import ToxicityPipeline
from services.classical.servicer import ClassicalServicer
from services.classical.settings import ClassicalSettings
from services.runtime.model_service import ModelService
from services.runtime.repository.serving import PipelineFactory
from services.runtime.server import ServiceDefinition, run_service
from services.runtime.startup import read_settings

TASKS = ("return", "engagement", "value", "next-session", "segment")
PIPELINES: Mapping[str, PipelineFactory] = {
    **{f"behaviour-{task}": BehaviourPipeline for task in TASKS},
    "text-toxicity": ToxicityPipeline,
}
CONTRACT = "marquee.classical.v1.ClassicalService"


def build(settings: ClassicalSettings) -> ServiceDefinition:
    """Put the service together; nothing is loaded yet."""
    service = ModelService("classical", settings, with_ranker=True, pipelines=PIPELINES)
    servicer = ClassicalServicer(
        service,
        {
            pb.BEHAVIOUR_TASK_RETURN: settings.return_model,
            pb.BEHAVIOUR_TASK_ENGAGEMENT: settings.engagement_model,
            pb.BEHAVIOUR_TASK_VALUE: settings.value_model,
            pb.BEHAVIOUR_TASK_NEXT_SESSION: settings.next_session_model,
            pb.BEHAVIOUR_TASK_SEGMENT: settings.segment_model,
        },
        settings.toxicity_model,
    )

    def attach(server: grpc.aio.Server) -> None:
        classical_service_pb2_grpc.add_ClassicalServiceServicer_to_server(servicer, server)

    # Recommenders come in bundles, so an empty model repository is no fault.
    return service.definition(CONTRACT, attach, needs_models=False)


if __name__ == "__main__":
    chosen = read_settings(ClassicalSettings, "classical")
    run_service(lambda: build(chosen), chosen, "classical")
