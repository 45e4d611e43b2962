"""`ModelRepositoryService` of every model service: what is loaded, and loading of bundles."""

from __future__ import annotations

import psutil
from google.protobuf import timestamp_pb2

from marquee.common.v1 import model_repository_pb2 as pb
from marquee.common.v1 import model_repository_pb2_grpc
from services.runtime.bundles.repository import BundleRepository, LoadedBundle
from services.runtime.repository.repository import ModelRepository, VersionState
from services.runtime.request_context import CallContext
from services.runtime.validation import Violations


class ModelRepositoryServicer(model_repository_pb2_grpc.ModelRepositoryServiceServicer):
    """Answers from the repositories of this process."""

    def __init__(self, models: ModelRepository, bundles: BundleRepository) -> None:
        self._models = models
        self._bundles = bundles

    async def ListModels(self, request: pb.ListModelsRequest, context: CallContext) -> pb.ListModelsResponse:
        """List models with their state and the memory of the process."""
        return pb.ListModelsResponse(
            models=[_describe_model(state) for _, state in sorted(self._models.versions.items())],
            resident_bytes=psutil.Process().memory_info().rss,
        )

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


def _checked_tenant(tenant: str, version: str) -> str:
    check = Violations()
    name = check.tenant("tenant", tenant)
    check.version("version", version)
    check.raise_if_any()
    return name


def _describe_model(state: VersionState) -> pb.ModelStatus:
    status = pb.ModelStatus(
        name=state.name,
        version=state.version,
        task=state.task,
        state=pb.MODEL_STATE_READY if state.model else pb.MODEL_STATE_FAILED,
        reason=state.reason,
        size_bytes=state.size_bytes,
    )
    if state.model is not None:
        status.execution_provider = state.model.onnx.provider
        status.load_milliseconds = round(state.model.load_seconds * 1000)
    return status


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
        has_ranker=bundle.ranker is not None,
    )
