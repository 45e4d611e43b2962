"""What every model service is made of: a data plane, a model repository, bundles, and pipelines made from the loaded
models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import grpc

from marquee.common.v1 import model_repository_pb2_grpc, report_pb2
from services.runtime.bundles.candidates import CandidatePipeline
from services.runtime.bundles.repository import BundleRepository
from services.runtime.data_plane import DataPlane, Timings
from services.runtime.engine import CPU, EngineUnavailable, choose_provider
from services.runtime.errors import NotFound, Unavailable
from services.runtime.logs import get_logger
from services.runtime.model_repository_servicer import ModelRepositoryServicer
from services.runtime.pipeline import Pipeline
from services.runtime.repository.loader import LoadedModel
from services.runtime.repository.repository import ModelRepository
from services.runtime.server import ServiceDefinition
from services.runtime.settings import ModelServiceSettings

PipelineT = TypeVar("PipelineT", bound=Pipeline[Any, Any, Any, Any])

_logger = get_logger(__name__)
MODEL_REPOSITORY_CONTRACT = "marquee.common.v1.ModelRepositoryService"


class ModelService:
    """The parts of one model service process.

    Args:
        name: short name of the family, for example "text".
        settings: options of the process.
        with_ranker: whether the service serves the rankers of bundles.
    """

    def __init__(self, name: str, settings: ModelServiceSettings, with_ranker: bool = False) -> None:
        self.name = name
        self.plane = DataPlane(settings.engines)
        self.models = ModelRepository(settings.model_repository, CPU)
        self.bundles = BundleRepository(settings.bundle_repository, name, with_ranker)
        self.candidates = CandidatePipeline(self.bundles)
        self._settings = settings

    def definition(
        self,
        contract: str,
        attach: Callable[[grpc.aio.Server], None],
        prepare: Callable[[], None] | None = None,
        needs_models: bool = True,
    ) -> ServiceDefinition:
        """Describe the service to the server.

        Args:
            contract: full name of the family's gRPC service.
            attach: adds the family's servicer.
            prepare: builds and warms up the pipelines once the models are loaded.
            needs_models: whether an empty model repository keeps the service from being ready.
        """

        def attach_all(server: grpc.aio.Server) -> None:
            attach(server)
            model_repository_pb2_grpc.add_ModelRepositoryServiceServicer_to_server(
                ModelRepositoryServicer(self.models, self.bundles), server
            )

        def load() -> Sequence[str]:
            try:
                self.models.provider = choose_provider(self._settings.execution_provider)
            except EngineUnavailable as error:
                return [str(error)]
            self.models.load_all()
            if prepare is not None:
                prepare()
            return self.models.missing_required() if needs_models or self.models.versions else []

        async def start() -> Sequence[str]:
            return await asyncio.to_thread(load)

        async def stop() -> None:
            await asyncio.to_thread(self.plane.close)

        return ServiceDefinition(self.name, [contract, MODEL_REPOSITORY_CONTRACT], attach_all, start, stop)


class PipelineRegistry(Generic[PipelineT]):
    """The pipelines of one kind of task, one for each loaded model that can do it.

    Args:
        models: repository of the service.
        factories: `task` of `model.yaml` → how to make the pipeline.
        default: model that answers when the request names none.
    """

    def __init__(
        self,
        models: ModelRepository,
        factories: Mapping[str, Callable[[LoadedModel], PipelineT]],
        default: str,
    ) -> None:
        self._models = models
        self._factories = factories
        self._default = default
        self._pipelines: dict[str, tuple[LoadedModel, PipelineT]] = {}
        self._built = False

    def build(self) -> None:
        """Make and warm up the pipelines of all models that serve; a model that has no working pipeline is refused."""
        for name, state in list(self._models.versions.items()):
            factory = self._factories.get(state.task)
            if state.model is not None and factory is not None:
                try:
                    pipeline = factory(state.model)
                    pipeline.warmup()
                except Exception:
                    # As in the loader: the other models must serve, and the text is for the log only.
                    _logger.exception("pipeline cannot be made", model=name, version=state.version)
                    reason = (
                        f"{name}/{state.version}: the {state.task} pipeline cannot be made; the service's log says why"
                    )
                    self._models.refuse(name, reason)
                    continue
                self._pipelines[name] = (state.model, pipeline)
        self._built = True

    def get(self, name: str) -> tuple[LoadedModel, PipelineT]:
        """Return a model and its pipeline, the default's for an empty name.

        Raises:
            NotFound: no model of that name does this task.
            Unavailable: the models are still being loaded, or the model was refused.
        """
        if not self._built:
            raise Unavailable(
                "MODELS_NOT_LOADED", "the models are not loaded yet; call again when the health is SERVING"
            )
        wanted = name or self._default
        found = self._pipelines.get(wanted)
        if found is not None:
            return found
        model = self._models.model(wanted)
        able = ", ".join(sorted(self._pipelines)) or "none"
        raise NotFound("model", "model", wanted, f"it does {model.manifest.task}; for this call there are: {able}")


def model_report(model: LoadedModel, timings: Timings) -> report_pb2.ModelReport:
    """Return what answered and where the time went, for the reply."""
    return report_pb2.ModelReport(
        model=model.manifest.name,
        version=model.manifest.version,
        queue_microseconds=timings.queue_microseconds,
        compute_microseconds=timings.compute_microseconds,
    )
