"""RecommendationService: checks requests and hands them to the pipelines."""

from __future__ import annotations

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceServicer
from services.orchestrator.recommend.home_page import HomePages
from services.orchestrator.recommend.options import read_similar
from services.orchestrator.recommend.pipeline import Recommender
from services.orchestrator.recommend.similar import SimilarItems
from services.runtime.request_context import CallContext, current_request


class RecommendationServicer(RecommendationServiceServicer):
    """See recommendation_service.proto for what the methods promise."""

    def __init__(self, recommender: Recommender, similar: SimilarItems) -> None:
        self._recommender = recommender
        self._similar = similar
        self._home_pages = HomePages(recommender, similar)

    async def Recommend(self, request: pb.RecommendRequest, context: CallContext) -> pb.RecommendResponse:
        """Return a personalised list."""
        return await self._recommender.recommend(current_request().tenant, request)

    async def SimilarItems(self, request: pb.SimilarItemsRequest, context: CallContext) -> pb.SimilarItemsResponse:
        """Return the items most like one item."""
        return await self._similar.similar(current_request().tenant, read_similar(request))

    async def GetHomePage(self, request: pb.GetHomePageRequest, context: CallContext) -> pb.GetHomePageResponse:
        """Return a page of several rows."""
        return await self._home_pages.home_page(current_request().tenant, request)

    async def ContinueWatching(
        self, request: pb.ContinueWatchingRequest, context: CallContext
    ) -> pb.ContinueWatchingResponse:
        """Return what the user began and did not finish."""
        return await self._home_pages.continue_watching(current_request().tenant, request)
