"""What every model service is made of: a data plane, a model repository, bundles, and a watchdog over them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import grpc

from marquee.common.v1 import model_repository_pb2_grpc, report_pb2, usage_pb2_grpc
from services.runtime.bundles.candidates import CandidatePipeline
from services.runtime.bundles.repository import BundleRepository
from services.runtime.data_plane import DataPlane, Timings
from services.runtime.errors import Unavailable
from services.runtime.health import Health
from services.runtime.logs import get_logger
from services.runtime.model_repository_servicer import ModelRepositoryServicer
from services.runtime.open_inference.attach import OPEN_INFERENCE_CONTRACT, attach_open_inference
from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.repository.loader import LoadedModel
from services.runtime.repository.policy import VersionPolicies
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.serving import PipelineFactory, ServingModel
from services.runtime.server import ServiceDefinition
from services.runtime.settings import ModelServiceSettings
from services.runtime.telemetry import Telemetry
from services.runtime.usage_servicer import USAGE_CONTRACT, UsageServicer
from services.runtime.watchdog import Watchdog

_logger = get_logger(__name__)
MODEL_REPOSITORY_CONTRACT = "marquee.common.v1.ModelRepositoryService"


class ModelService:
    """The parts of one model service process.

    Args:
        name: short name of the family, for example "text".
        settings: options of the process.
        with_ranker: whether the service serves the rankers of bundles.
        pipelines: `task` of `model.yaml` → how to make its pipeline.
        default_model: model that answers calls which name none; without it in the repository the service is not ready.
        guards: `task` of `model.yaml` → check that raises `ServiceError` for callers who may not send tensors to its
            models; what the typed calls ask of their callers holds for the Open Inference Protocol too.
    """

    def __init__(
        self,
        name: str,
        settings: ModelServiceSettings,
        with_ranker: bool = False,
        *,
        pipelines: Mapping[str, PipelineFactory] | None = None,
        default_model: str = "",
        guards: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        self.name = name
        self.telemetry = Telemetry.from_settings(settings, name)
        self.plane = DataPlane(
            settings.engines,
            maximum_requests=settings.maximum_queued_requests,
            maximum_wait_seconds=settings.maximum_queue_milliseconds / 1000,
            cache_bytes=settings.response_cache_bytes,
            metrics=self.telemetry.metrics.model,
            usage=self.telemetry.usage,
        )
        self.models = ModelRepository(
            settings.model_repository,
            factories=pipelines or {},
            tensors=TensorPipeline,
            policies=VersionPolicies.parse(settings.version_policies),
            wanted=settings.execution_provider,
            half_precision=settings.half_precision,
            changed=self._look,
            forgotten=self.telemetry.metrics.forget,
        )
        self.bundles = BundleRepository(settings.bundle_repository, name, with_ranker)
        self.candidates = CandidatePipeline(self.bundles)
        self.health = Health([])
        self._settings = settings
        self._default_model = default_model
        self._guards = guards or {}
        self._needs_models = True
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False
        self._was_ready = False
        self._engine_problem = ""
        self._report_gauges()

    def definition(
        self, contract: str, attach: Callable[[grpc.aio.Server], None], needs_models: bool = True
    ) -> ServiceDefinition:
        """Describe the service to the server.

        Args:
            contract: full name of the family's gRPC service.
            attach: adds the family's servicer.
            needs_models: whether an empty model repository keeps the service from being ready.
        """
        contracts = [contract, MODEL_REPOSITORY_CONTRACT, OPEN_INFERENCE_CONTRACT, USAGE_CONTRACT]
        self._needs_models = needs_models
        self.health = Health(contracts)

        def attach_all(server: grpc.aio.Server) -> None:
            attach(server)
            model_repository_pb2_grpc.add_ModelRepositoryServiceServicer_to_server(
                ModelRepositoryServicer(self.models, self.bundles, self._default_model), server
            )
            usage_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(self.telemetry.usage), server)
            attach_open_inference(server, self.models, self.plane, self.name, lambda: self.health.serving, self._guards)

        return ServiceDefinition(
            self.name, contracts, attach_all, self.start, self.stop, telemetry=self.telemetry, health=self.health
        )

    async def start(self) -> Sequence[str]:
        """Load the required models and begin to watch; returns why the service cannot serve, empty when it can.

        May be cancelled, and ends soon after `stop` is called.
        """
        try:
            await self.models.start()
        except Unavailable:
            return ["it was stopped while its models were loaded"]
        self._started = True
        if self._settings.poll_seconds:
            self._tasks.append(asyncio.create_task(self._repeat(self._settings.poll_seconds, self.models.poll)))
        if self._settings.watchdog_seconds:
            watchdog = Watchdog(
                self.plane,
                self._smallest_model,
                self._judge_engines,
                every_seconds=self._settings.watchdog_seconds,
                limit_seconds=self._settings.hung_engine_seconds,
            )
            self._tasks.append(asyncio.create_task(watchdog.run()))
        self._look()
        return self.problems()

    async def stop(self) -> None:
        """Give up loads in progress and end everything that `start` began."""
        self._started = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.models.close()
        await asyncio.to_thread(self.plane.close)

    def problems(self) -> list[str]:
        """Return why the service is not ready; empty when it is."""
        found = self.models.problems()
        if self._needs_models and not self.models.index():
            found.append(f"the model repository {self._settings.model_repository.name} holds no model")
        elif self._default_model and self._default_model not in self.models:
            found.append(
                f"the default model {self._default_model} is not in the model repository, which has "
                f"{', '.join(sorted({state.name for state in self.models.index()})) or 'none'}"
            )
        if self._engine_problem:
            found.append(self._engine_problem)
        return found

    def _report_gauges(self) -> None:
        metrics, plane = self.telemetry.metrics, self.plane
        metrics.watch_models(self.models.index)
        metrics.watch_serving(lambda: self.health.serving)
        metrics.watch_cache(lambda: plane.cache_size)
        metrics.watch_runs(plane.busy_since)
        metrics.watch_queue(lambda: {(one.name, one.version): size for one, size in plane.queued().items()})

    def _look(self) -> None:
        """Set the health. A service that was ready once stays so whatever happens to its models: what is corrupt never
        takes the place of what serves, and what a person unloads is meant. Only engines that hang take it away.
        """
        if not self._started:
            return
        if not self._was_ready and not self.problems():
            self._was_ready = True
            _logger.info("required models ready", serving=len(self.models.serving()))
        self.health.set_serving(self._was_ready and not self._engine_problem)

    def _judge_engines(self, problem: str) -> None:
        self._engine_problem = problem
        # An engine that hangs, or a device that fails every run, comes back with a new process only.
        self.health.set_alive(not problem)
        self._look()

    def _smallest_model(self) -> LoadedModel | None:
        """Return the smallest model that serves, a required one where there is any."""
        states = [state for state in self.models.index() if state.model is not None]
        states.sort(key=lambda state: (not state.required, state.size_bytes))
        return states[0].model if states else None

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:
                _logger.exception("the model repository could not be polled")


def model_report(serving: ServingModel, timings: Timings) -> report_pb2.ModelReport:
    """Return what answered and where the time went, for the reply."""
    return report_pb2.ModelReport(
        model=serving.identity.name,
        version=serving.identity.version,
        queue_microseconds=timings.queue_microseconds,
        compute_microseconds=timings.compute_microseconds,
        cached=timings.cached,
    )
