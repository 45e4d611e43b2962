"""What a list is made from: the user's history and the catalogue, as the store has them or as they were last known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, StepReport
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.known_state import KnownStates
from services.orchestrator.recommend.steps import FALLBACKS, StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import RecommendationState
from services.runtime.errors import ServiceError, Unavailable

STORE_SHARE = 0.4
"""Share of what is left of the caller's time that one access to the store may take."""


@dataclass(frozen=True)
class Reader:
    """Reads from the store within the caller's time, and does without it when it must."""

    store: Store
    snapshots: CatalogSnapshots
    settings: OrchestratorSettings
    known: KnownStates = field(default_factory=KnownStates)

    async def state(self, tenant: str, user_id: str, steps: StepLog, budget: Budget) -> RecommendationState:
        """Read what is known of the user; what was last known stands in when the store does not answer."""
        with steps.measure("history") as report:
            try:
                async with asyncio.timeout(budget.step(STORE_SHARE, self.settings.history_seconds)):
                    state = await self.store.recommendation_state(tenant, user_id, self.settings.history_limit)
            except (ServiceError, TimeoutError) as error:
                known = self.known.recall(tenant, user_id)
                if known is None or self.snapshots.current(tenant) is None:
                    raise _store_error(error) from error
                report.outcome = STEP_OUTCOME_FALLBACK
                report.detail = f"{why(error)}; {FALLBACKS['history']}"
                return known
            self.known.remember(tenant, user_id, state)
        return state

    async def snapshot(self, tenant: str, sequence: int, report: StepReport, budget: Budget) -> CatalogSnapshot:
        """Return the catalogue; the last known state of it stands in when the store does not answer."""
        held = self.snapshots.current(tenant)
        if held is None:
            return await self.snapshots.get(tenant, sequence)
        try:
            async with asyncio.timeout(budget.step(STORE_SHARE, self.settings.catalog_seconds)):
                return await self.snapshots.get(tenant, sequence)
        except (ServiceError, TimeoutError) as error:
            report.outcome = STEP_OUTCOME_FALLBACK
            report.detail = f"{why(error)}; {FALLBACKS['filter']}"
            return held


def why(error: Exception) -> str:
    """Return what a step says of a store that failed or was too slow."""
    return error.message if isinstance(error, ServiceError) else "the store did not answer in time"


def _store_error(error: Exception) -> Exception:
    if isinstance(error, ServiceError):
        return error
    return Unavailable("STORE_SLOW", "the store did not answer in time; send the call again")
