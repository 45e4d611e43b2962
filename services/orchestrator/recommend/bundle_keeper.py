"""Keeps the bundles that answer loaded on every model service, also on one that has just restarted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.common.v1.report_pb2 import STEP_OUTCOME_FAILED, STEP_OUTCOME_OK, StepReport
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.mesh import FAMILIES, Family, Mesh, MeshError
from services.orchestrator.recommend.routing import routed_bundles
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.store import Store
from services.runtime.errors import ServiceError
from services.runtime.logs import get_logger

_logger = get_logger(__name__)
_LIST_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class LoadOutcome:
    """How one service took a bundle: its description, or why not."""

    family: Family
    bundle: repository_pb.Bundle | None
    error: MeshError | None
    report: StepReport


class BundleKeeper:
    """Knows the serving bundle of each tenant and makes the services load it.

    Args:
        store: holds the pointer.
        mesh: the model services.
        check_seconds: time between two looks at the services.
        load_seconds: longest wait for one service to load.
        snapshots: made ready before a bundle serves, so that the first list need not wait for the whole catalogue.
    """

    def __init__(
        self,
        store: Store,
        mesh: Mesh,
        check_seconds: float,
        load_seconds: float,
        snapshots: CatalogSnapshots | None = None,
    ) -> None:
        self._store = store
        self._mesh = mesh
        self._check_seconds = check_seconds
        self._load_seconds = load_seconds
        self._snapshots = snapshots
        self._known: dict[tuple[str, str], ServingBundle] = {}
        self._states: dict[tuple[str, str], int] = {}
        self._created: list[float] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def serving(self, tenant: str, version: str) -> ServingBundle | None:
        """Return what is known of a bundle; None asks the background task to find out soon."""
        bundle = self._known.get((tenant, version))
        if bundle is None and version:
            self._wake.set()
        return bundle

    def states(self) -> dict[tuple[str, str], int]:
        """Return how many bundles that should serve are loaded and missing, by (service, "loaded" or "missing"), as at
        the last look.
        """
        return self._states

    def oldest(self) -> list[float]:
        """Return when the oldest bundle that serves a tenant was fitted, in seconds since 1970; empty when there is
        none or no service has told.
        """
        return sorted(self._created)[:1]

    async def load_everywhere(self, tenant: str, version: str) -> list[LoadOutcome]:
        """Make every service load a bundle, and learn its vocabulary from those that did."""
        outcomes = await asyncio.gather(*(self._load(family, tenant, version) for family in FAMILIES))
        await self._learn(tenant, version, outcomes)
        return list(outcomes)

    async def unload_unused(self, tenant: str) -> None:
        """Make every service forget the bundles of a tenant that neither serve, nor served before, nor are routed to;
        failures only leave memory in use.
        """
        pointer, routes = await asyncio.gather(self._store.bundle_pointer(tenant), self._store.list_routes(tenant))
        kept = {pointer.version, pointer.previous_version} | routed_bundles(routes)
        for family in FAMILIES:
            with contextlib.suppress(MeshError):
                for bundle in await self._mesh.list_bundles(family, tenant, _LIST_SECONDS):
                    if bundle.version not in kept:
                        await self._mesh.unload_bundle(family, tenant, bundle.version, _LIST_SECONDS)
        for known in [key for key in self._known if key[0] == tenant and key[1] not in kept]:
            del self._known[known]

    async def check(self) -> None:
        """Load the serving bundle of every tenant, and those that it routes to, wherever they are missing."""
        states: dict[tuple[str, str], int] = {}
        created: list[float] = []
        for tenant in await self._store.bundle_tenants():
            pointer, routes = await asyncio.gather(self._store.bundle_pointer(tenant), self._store.list_routes(tenant))
            for version in sorted(({pointer.version} | routed_bundles(routes)) - {""}):
                outcomes = await asyncio.gather(*(self._ensure(family, tenant, version) for family in FAMILIES))
                await self._learn(tenant, version, outcomes)
                for outcome in outcomes:
                    key = (outcome.family, "missing" if outcome.bundle is None else "loaded")
                    states[key] = states.get(key, 0) + 1
                    if outcome.bundle is not None and version == pointer.version:
                        created.append(outcome.bundle.create_time.ToNanoseconds() / 1e9)
        self._states, self._created = states, created

    def start(self) -> None:
        """Start the background task on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="bundle-keeper")

    async def stop(self) -> None:
        """Stop the background task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self.check()
            except ServiceError as error:
                _logger.warning("cannot read the bundle pointer", reason=error.reason, message=str(error))
            except Exception:
                # A watch that ended unnoticed would leave a restarted service without its bundle for good.
                _logger.exception("the look at the bundles failed; the next one follows")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._check_seconds)
            # Many calls may ask at once; one look serves them all.
            await asyncio.sleep(_SHORTEST_PAUSE_SECONDS)
            self._wake.clear()

    async def _ensure(self, family: Family, tenant: str, version: str) -> LoadOutcome:
        try:
            loaded = await self._mesh.list_bundles(family, tenant, _LIST_SECONDS)
        except MeshError as error:
            return LoadOutcome(family, None, error, StepReport())
        for bundle in loaded:
            if bundle.version == version:
                return LoadOutcome(family, bundle, None, StepReport())
        return await self._load(family, tenant, version)

    async def _load(self, family: Family, tenant: str, version: str) -> LoadOutcome:
        report = StepReport(step="load", service=family, version=version, outcome=STEP_OUTCOME_OK)
        start = time.monotonic()
        try:
            bundle = await self._mesh.load_bundle(family, tenant, version, self._load_seconds)
        except MeshError as error:
            _logger.warning("bundle not loaded", family=family, tenant=tenant, version=version, details=error.details)
            report.outcome, report.detail = STEP_OUTCOME_FAILED, error.details or error.summary()
            return LoadOutcome(family, None, error, report)
        finally:
            report.milliseconds = (time.monotonic() - start) * 1000
        report.model = "+".join(bundle.scorers)
        return LoadOutcome(family, bundle, None, report)

    async def _learn(self, tenant: str, version: str, outcomes: list[LoadOutcome] | tuple[LoadOutcome, ...]) -> None:
        answered = {outcome.family: outcome.bundle for outcome in outcomes if outcome.bundle is not None}
        if not answered:
            return
        scorers: dict[Family, tuple[str, ...]] = {family: tuple(bundle.scorers) for family, bundle in answered.items()}
        rankers = next((tuple(bundle.rankers) for bundle in answered.values() if bundle.rankers), ())
        known = self._known.get((tenant, version))
        if known is not None:
            known.scorers.update(scorers)
            known.rankers = rankers or known.rankers
            return
        family = next(iter(answered))
        try:
            bundle = await self._mesh.get_bundle(family, tenant, version, self._load_seconds)
        except MeshError as error:
            _logger.warning("bundle vocabulary not read", family=family, details=error.details)
            return
        self._known[tenant, version] = ServingBundle(
            version, tuple(bundle.item_ids), bundle.event_watermark, scorers, rankers
        )
        await self._warm(tenant)

    async def _warm(self, tenant: str) -> None:
        """Read the catalogue; who cannot now does so with the first list."""
        if self._snapshots is None:
            return
        try:
            await self._snapshots.get(tenant, (await self._store.catalog_state(tenant)).sequence)
        except ServiceError as error:
            _logger.warning("the catalogue is not read ahead", tenant=tenant, reason=error.reason)
