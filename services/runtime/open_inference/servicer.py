"""`GRPCInferenceService`: the Open Inference Protocol on the models of one service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from inference import open_inference_pb2 as pb
from inference import open_inference_pb2_grpc
from services.runtime.data_plane import DataPlane
from services.runtime.errors import FieldViolation, InvalidRequest, NotFound
from services.runtime.open_inference.inference import Inference, check_name
from services.runtime.open_inference.model_config import model_config, model_metadata
from services.runtime.open_inference.stream import answer_stream
from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.repository.folders import RepositoryUnreadable
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.states import State, VersionState
from services.runtime.request_context import CallContext

EXTENSIONS = (
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "statistics",
)
# The protocol has four words for states.
_STATES = {
    State.READY: "READY",
    State.LOADING: "LOADING",
    State.UNLOADING: "UNLOADING",
    State.UNLOADED: "UNAVAILABLE",
    State.FAILED: "UNAVAILABLE",
}
_Parameters = Mapping[str, pb.ModelRepositoryParameter]


class OpenInferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers from the repository and the data plane of this process.

    Args:
        models: models of the service.
        plane: what executes them.
        name: name of the service, for example "marquee-text".
        version: version of Marquee.
        ready: whether the service serves.
        guards: see `Inference`.
    """

    def __init__(
        self,
        models: ModelRepository,
        plane: DataPlane,
        name: str,
        version: str,
        ready: Callable[[], bool],
        guards: Mapping[str, Callable[[], None]],
    ) -> None:
        self._models = models
        self._plane = plane
        self._ready = ready
        self._inference = Inference(models, plane, guards)
        self._metadata = pb.ServerMetadataResponse(name=name, version=version, extensions=EXTENSIONS)

    async def ServerLive(self, request: pb.ServerLiveRequest, context: CallContext) -> pb.ServerLiveResponse:
        """Answer: who answers lives."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: CallContext) -> pb.ServerReadyResponse:
        """Tell whether the service serves."""
        return pb.ServerReadyResponse(ready=self._ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: CallContext) -> pb.ModelReadyResponse:
        """Tell whether a model serves."""
        check_name("name", request.name)
        return pb.ModelReadyResponse(ready=self._models.ready(request.name, request.version) is not None)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: CallContext
    ) -> pb.ServerMetadataResponse:
        """Describe the service."""
        return self._metadata

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: CallContext) -> pb.ModelMetadataResponse:
        """Describe the tensors of a model."""
        serving, tensors = await self._inference.serving(request.name, request.version, "name")
        versions = [state.version for state in self._models.index() if _serves(state) and state.name == request.name]
        return model_metadata(serving.model, tensors, versions)

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: CallContext) -> pb.ModelConfigResponse:
        """Describe how a model is run."""
        serving, tensors = await self._inference.serving(request.name, request.version, "name")
        return pb.ModelConfigResponse(config=model_config(serving.model, tensors, self._plane.engines))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: CallContext) -> pb.ModelInferResponse:
        """Run a model."""
        return await self._inference.infer(request)

    async def ModelStreamInfer(
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: CallContext
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Run models for the requests of a stream."""
        async for response in answer_stream(self._inference, request_iterator):
            yield response

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: CallContext
    ) -> pb.ModelStatisticsResponse:
        """Tell counts and times of what serves."""
        states = [
            state
            for state in self._models.index()
            if _serves(state) and request.name in {"", state.name} and request.version in {"", state.version}
        ]
        if request.name and not states:
            # Says what there is, and loads nothing that serves on first use only to say that nobody asked it yet.
            raise NotFound("name", "model", request.name[:100], "no such version serves; RepositoryIndex lists all")
        response = pb.ModelStatisticsResponse()
        for state in states:
            serving = self._models.ready(state.name, state.version)
            if serving is not None and isinstance(serving.tensors, TensorPipeline):
                response.model_stats.append(serving.tensors.statistics.message(state.name, state.version))
        return response

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: CallContext
    ) -> pb.RepositoryIndexResponse:
        """List the versions of the repository."""
        _check_repository(request.repository_name)
        with contextlib.suppress(RepositoryUnreadable):  # then what was last known is listed
            await self._models.refresh()
        return pb.RepositoryIndexResponse(
            models=[
                pb.RepositoryIndexResponse.ModelIndex(
                    name=state.name,
                    version=state.version,
                    state=_STATES[state.state],
                    reason=state.reason or ("not loaded" if state.state is State.UNLOADED else ""),
                )
                for state in self._models.index()
                if not request.ready or _serves(state)
            ]
        )

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: CallContext
    ) -> pb.RepositoryModelLoadResponse:
        """Load a model, or the version that a parameter names."""
        _check_repository(request.repository_name)
        check_name("model_name", request.model_name)
        await self._models.load(request.model_name, _version_of(request.parameters), field_name="model_name")
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: CallContext
    ) -> pb.RepositoryModelUnloadResponse:
        """Unload a model, or the version that a parameter names."""
        _check_repository(request.repository_name)
        check_name("model_name", request.model_name)
        version = _version_of(request.parameters, "unload_dependents")
        await self._models.unload(request.model_name, version, field_name="model_name")
        return pb.RepositoryModelUnloadResponse()


def _serves(state: VersionState) -> bool:
    return state.state is State.READY


def _check_repository(name: str) -> None:
    if name:
        raise NotFound(
            "repository_name", "repository", name[:100], "a service has one repository; leave the name empty"
        )


def _version_of(parameters: _Parameters, *without_effect: str) -> str:
    """Return the version that the parameters of a load or unload name, empty when they name none."""
    for name in sorted(parameters):
        field = f"parameters[{name[:80]}]"
        if name == "version":
            if parameters[name].WhichOneof("parameter_choice") != "string_param":
                raise InvalidRequest([FieldViolation(field, "must be a string_param")], "INVALID_PARAMETER")
        elif name not in without_effect:
            description = "no such parameter; there is version. Configuration and files come with the repository only"
            raise InvalidRequest([FieldViolation(field, description)], "INVALID_PARAMETER")
    return parameters["version"].string_param if "version" in parameters else ""
