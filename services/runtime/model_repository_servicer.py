"""`ModelRepositoryService` of every model service: what is loaded, and loading and unloading of models and bundles."""

from __future__ import annotations

import contextlib

import psutil
from google.protobuf import timestamp_pb2

from marquee.common.v1 import model_repository_pb2 as pb
from marquee.common.v1 import model_repository_pb2_grpc
from services.runtime.bundles.repository import BundleRepository, LoadedBundle
from services.runtime.repository.folders import RepositoryUnreadable
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.states import State, VersionState
from services.runtime.request_context import CallContext
from services.runtime.validation import Violations

_STATES = {
    State.UNLOADED: pb.MODEL_STATE_UNLOADED,
    State.LOADING: pb.MODEL_STATE_LOADING,
    State.READY: pb.MODEL_STATE_READY,
    State.FAILED: pb.MODEL_STATE_FAILED,
    State.UNLOADING: pb.MODEL_STATE_UNLOADING,
}


class ModelRepositoryServicer(model_repository_pb2_grpc.ModelRepositoryServiceServicer):
    """Answers from the repositories of this process.

    Args:
        models: models of the service.
        bundles: bundles of the service.
        default_model: model that answers calls which name none; empty when there is none.
    """

    def __init__(self, models: ModelRepository, bundles: BundleRepository, default_model: str = "") -> None:
        self._models = models
        self._bundles = bundles
        self._default_model = default_model

    async def ListModels(self, request: pb.ListModelsRequest, context: CallContext) -> pb.ListModelsResponse:
        """List every version with its state, and the memory of the process."""
        with contextlib.suppress(RepositoryUnreadable):
            await self._models.refresh()
        return pb.ListModelsResponse(
            models=[self._describe(state) for state in self._models.index()],
            resident_bytes=psutil.Process().memory_info().rss,
        )

    async def LoadModel(self, request: pb.LoadModelRequest, context: CallContext) -> pb.LoadModelResponse:
        """Load a version, or those of the policy."""
        _check_model(request.name, request.version)
        serving = await self._models.load(request.name, request.version)
        states = {(state.name, state.version): state for state in self._models.index()}
        names = [(model.identity.name, model.identity.version) for model in serving]
        return pb.LoadModelResponse(models=[self._describe(states[name]) for name in names if name in states])

    async def UnloadModel(self, request: pb.UnloadModelRequest, context: CallContext) -> pb.UnloadModelResponse:
        """Take a version, or the whole model, out of service."""
        _check_model(request.name, request.version)
        await self._models.unload(request.name, request.version)
        return pb.UnloadModelResponse()

    async def LoadBundle(self, request: pb.LoadBundleRequest, context: CallContext) -> pb.LoadBundleResponse:
        """Load and check a bundle."""
        tenant = _checked_tenant(request.tenant, request.version)
        return pb.LoadBundleResponse(bundle=_describe_bundle(await self._bundles.load(tenant, request.version)))

    async def UnloadBundle(self, request: pb.UnloadBundleRequest, context: CallContext) -> pb.UnloadBundleResponse:
        """Forget a bundle."""
        self._bundles.unload(_checked_tenant(request.tenant, request.version), request.version)
        return pb.UnloadBundleResponse()

    async def ListBundles(self, request: pb.ListBundlesRequest, context: CallContext) -> pb.ListBundlesResponse:
        """List loaded bundles, newest first."""
        check = Violations()
        tenant = check.tenant("tenant", request.tenant)
        check.raise_if_any()
        return pb.ListBundlesResponse(bundles=[_describe_bundle(bundle) for bundle in self._bundles.loaded(tenant)])

    async def GetBundle(self, request: pb.GetBundleRequest, context: CallContext) -> pb.GetBundleResponse:
        """Return a loaded bundle with its vocabulary."""
        bundle = self._bundles.get(_checked_tenant(request.tenant, request.version), request.version)
        description = _describe_bundle(bundle)
        description.item_ids.extend(bundle.item_ids)
        return pb.GetBundleResponse(bundle=description)

    def _describe(self, state: VersionState) -> pb.ModelStatus:
        status = pb.ModelStatus(
            name=state.name,
            version=state.version,
            task=state.task,
            state=_STATES[state.state],
            reason=state.reason,
            size_bytes=state.size_bytes,
            required=state.required,
            version_policy=state.policy,
            default_version=state.default,
            default_model=state.name == self._default_model,
            verified_bytes=state.verified_bytes,
        )
        if state.model is not None:
            status.execution_provider = state.model.onnx.provider
            status.load_milliseconds = round(state.model.load_seconds * 1000)
        return status


def _check_model(name: str, version: str) -> None:
    check = Violations()
    check.text("name", name, maximum=64)
    if version:
        check.version("version", version)
    check.raise_if_any()


def _checked_tenant(tenant: str, version: str) -> str:
    check = Violations()
    name = check.tenant("tenant", tenant)
    check.version("version", version)
    check.raise_if_any()
    return name


def _describe_bundle(bundle: LoadedBundle) -> pb.Bundle:
    created = timestamp_pb2.Timestamp()
    created.FromDatetime(bundle.manifest.created)
    return pb.Bundle(
        tenant=bundle.manifest.tenant,
        version=bundle.manifest.version,
        create_time=created,
        event_watermark=bundle.manifest.event_watermark,
        scorers=list(bundle.scorers),
        item_count=len(bundle.item_ids),
        has_ranker=bool(bundle.rankers),
        rankers=list(bundle.rankers),
    )
