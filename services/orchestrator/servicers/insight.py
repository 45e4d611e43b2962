"""InsightService: hands requests to the pipeline."""

from __future__ import annotations

from marquee.entertainment.v1 import insight_service_pb2 as pb
from marquee.entertainment.v1.insight_service_pb2_grpc import InsightServiceServicer
from services.orchestrator.insight.user_insight import UserInsights
from services.runtime.request_context import CallContext, current_request


class InsightServicer(InsightServiceServicer):
    """See insight_service.proto for what the methods promise."""

    def __init__(self, insights: UserInsights) -> None:
        self._insights = insights

    async def GetUserInsight(
        self, request: pb.GetUserInsightRequest, context: CallContext
    ) -> pb.GetUserInsightResponse:
        """Return what can be said about a user."""
        return await self._insights.user_insight(current_request().tenant, request)
