"""BundleService: which bundle of recommenders serves. The pointer is flipped only when every model service is ready."""

from __future__ import annotations

import asyncio

from marquee.entertainment.v1 import bundle_service_pb2 as pb
from marquee.entertainment.v1.bundle_service_pb2_grpc import BundleServiceServicer
from services.orchestrator.recommend.bundle_keeper import BundleKeeper, LoadOutcome
from services.orchestrator.store import Store
from services.runtime.errors import FailedPrecondition, Unavailable
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations


class BundleServicer(BundleServiceServicer):
    """See bundle_service.proto for what the methods promise."""

    def __init__(self, store: Store, bundles: BundleKeeper) -> None:
        self._store = store
        self._bundles = bundles

    async def ActivateBundle(
        self, request: pb.ActivateBundleRequest, context: CallContext
    ) -> pb.ActivateBundleResponse:
        """Have a bundle loaded everywhere, then make it the serving one."""
        check = Violations()
        check.version("version", request.version)
        check.raise_if_any()
        tenant = current_request().tenant
        before = await self._store.bundle_pointer(tenant)
        outcomes = await self._bundles.load_everywhere(tenant, request.version)
        require_all(request.version, outcomes)
        now = before
        if before.version != request.version:
            now = await self._store.set_bundle(tenant, request.version, expected=before.version)
        await self._bundles.unload_unused(tenant)
        return pb.ActivateBundleResponse(
            version=now.version,
            previous_version=now.previous_version,
            steps=[outcome.report for outcome in outcomes],
        )

    async def RollbackBundle(
        self, request: pb.RollbackBundleRequest, context: CallContext
    ) -> pb.RollbackBundleResponse:
        """Go back to the bundle that served before."""
        tenant = current_request().tenant
        before = await self._store.bundle_pointer(tenant)
        if not before.previous_version:
            raise FailedPrecondition(
                "NO_PREVIOUS_BUNDLE", "no bundle served before this one; activate one by its version instead"
            )
        outcomes = await self._bundles.load_everywhere(tenant, before.previous_version)
        require_all(before.previous_version, outcomes)
        now = await self._store.rollback_bundle(tenant, expected=before.version)
        return pb.RollbackBundleResponse(
            version=now.version,
            previous_version=now.previous_version,
            steps=[outcome.report for outcome in outcomes],
        )

    async def GetServingBundle(
        self, request: pb.GetServingBundleRequest, context: CallContext
    ) -> pb.GetServingBundleResponse:
        """Tell which bundle serves, and how far the data has moved on since."""
        tenant = current_request().tenant
        pointer, events, catalog = await asyncio.gather(
            self._store.bundle_pointer(tenant),
            self._store.event_totals(tenant),
            self._store.catalog_state(tenant),
        )
        known = self._bundles.serving(tenant, pointer.version)
        return pb.GetServingBundleResponse(
            version=pointer.version,
            previous_version=pointer.previous_version,
            item_count=len(known.item_ids) if known else 0,
            event_watermark=known.event_watermark if known else 0,
            event_count=events.count,
            catalog_count=catalog.item_count,
        )


def require_all(version: str, outcomes: list[LoadOutcome], done: str = "activated") -> None:
    """Raise when a service did not take the bundle: UNAVAILABLE when one is down, else FAILED_PRECONDITION.

    Args:
        version: of the bundle.
        outcomes: of loading it everywhere.
        done: what will not be done with it, in words.
    """
    refused = [outcome.error for outcome in outcomes if outcome.error is not None and not outcome.error.down]
    if refused:
        raise FailedPrecondition(
            "BUNDLE_REFUSED",
            f"bundle {version} was not {done}: {'; '.join(f'{error.family}: {error.details}' for error in refused)}",
            {"version": version, "services": ",".join(error.family for error in refused)},
        )
    down = [outcome.error for outcome in outcomes if outcome.error is not None]
    if down:
        raise Unavailable(
            "SERVICE_DOWN",
            f"bundle {version} was not {done}: {', '.join(error.summary() for error in down)}; "
            "the bundle that served before serves on",
        )
