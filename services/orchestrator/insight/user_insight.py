"""Everything that can be said about one user: predictions of the classical service, and what the events say
themselves.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.entertainment.v1 import insight_service_pb2 as pb
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.insight.affinities import affinities
from services.orchestrator.insight.bursts import find_bursts
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog, describe_model
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import EventRecord
from services.runtime.errors import NotFound
from services.runtime.validation import Violations

NEWEST_EVENTS = 1_000
DEFAULT_DAYS = 30.0
_SESSION_GAP = 1_800.0
_SHARE = 0.8
_TASKS = {
    "return": classical_pb.BEHAVIOUR_TASK_RETURN,
    "engagement": classical_pb.BEHAVIOUR_TASK_ENGAGEMENT,
    "value": classical_pb.BEHAVIOUR_TASK_VALUE,
    "next-session": classical_pb.BEHAVIOUR_TASK_NEXT_SESSION,
    "segment": classical_pb.BEHAVIOUR_TASK_SEGMENT,
}


@dataclass(frozen=True)
class UserInsights:
    """Answers what a user is likely to do, likes, and is like."""

    store: Store
    snapshots: CatalogSnapshots
    mesh: Mesh
    settings: OrchestratorSettings

    async def user_insight(self, tenant: str, request: pb.GetUserInsightRequest) -> pb.GetUserInsightResponse:
        """Return what is known of a user; without the classical service, what the events say themselves.

        Raises:
            InvalidRequest: a field is bad.
            NotFound: no event of the user is stored, or none before the moment.
            ServiceError: the store cannot be read.
        """
        check = Violations()
        check.identifier("user_id", request.user_id)
        days = request.horizon_days or DEFAULT_DAYS
        check.within("horizon_days", days, 0.01, 3_650.0)
        count = check.size("affinity_count", request.affinity_count, default=5, maximum=50)
        check.raise_if_any()
        budget = Budget.for_current_call(self.settings.recommend_deadline_seconds)
        steps = StepLog()
        now = request.now.seconds + request.now.nanos / 1e9 if request.HasField("now") else time.time()
        with steps.measure("history"):
            stored = await self.store.list_user_events(tenant, request.user_id, NEWEST_EVENTS)
        events = [event for event in stored if event.event_time <= now * 1e6]
        if not events:
            raise NotFound(
                "user_id", "user", request.user_id, "no event of this user is stored from before that moment"
            )
        answer = pb.GetUserInsightResponse(event_count=len(events))
        await self._predict(answer, events, (now, days), steps, budget)
        with steps.measure("affinities"):
            snapshot = await self.snapshots.get(tenant, (await self.store.catalog_state(tenant)).sequence)
            answer.affinities.extend(affinities(events, snapshot, count))
        with steps.measure("bursts"):
            _describe_times(answer, [event.event_time / 1e6 for event in reversed(events)])
        answer.degraded = steps.degraded
        answer.steps.extend(steps.reports)
        return answer

    async def _predict(
        self,
        answer: pb.GetUserInsightResponse,
        events: Sequence[EventRecord],
        when: tuple[float, float],
        steps: StepLog,
        budget: Budget,
    ) -> None:
        now, days = when
        user = classical_pb.UserBehaviour(
            event_seconds=[event.event_time / 1e6 for event in events],
            event_values=[max(0.0, event.weight) for event in events],
        )
        seconds = budget.step(_SHARE, self.settings.ranking_seconds)

        async def ask(name: str, task: classical_pb.BehaviourTask.ValueType) -> None:
            request = classical_pb.PredictBehaviourRequest(task=task, users=[user], horizon_days=days)
            request.now.FromMicroseconds(int(now * 1e6))
            with steps.measure(f"behaviour/{name}", "classical") as report:
                found = await self.mesh.predict_behaviour(request, seconds)
                describe_model(report, found.report)
                _take(answer, name, found)

        await asyncio.gather(*(ask(name, task) for name, task in _TASKS.items()))


def _take(answer: pb.GetUserInsightResponse, name: str, found: classical_pb.PredictBehaviourResponse) -> None:
    value = found.values[0]
    match name:
        case "return":
            answer.return_probability, answer.churn_probability = value, 1 - value
        case "engagement":
            answer.expected_sessions = value
        case "value":
            answer.expected_value = value
        case "next-session":
            answer.next_session_days = value
        case _:
            answer.segment = found.segments[0]


def _describe_times(answer: pb.GetUserInsightResponse, times: Sequence[float]) -> None:
    """Fill in what the times alone tell.

    Args:
        answer: to fill in.
        times: seconds since 1970, ascending.
    """
    answer.session_count = 1 + sum(after - before > _SESSION_GAP for before, after in itertools.pairwise(times))
    answer.first_time.FromMicroseconds(int(times[0] * 1e6))
    answer.last_time.FromMicroseconds(int(times[-1] * 1e6))
    for burst in find_bursts(times):
        message = answer.bursts.add(event_count=burst.count, reason=burst.reason)
        message.start_time.FromMicroseconds(int(times[burst.first] * 1e6))
        message.end_time.FromMicroseconds(int(times[burst.last] * 1e6))
