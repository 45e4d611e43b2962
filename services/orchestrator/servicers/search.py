"""SearchService: hands searches to the pipeline."""

from __future__ import annotations

from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee.entertainment.v1.search_service_pb2_grpc import SearchServiceServicer
from services.orchestrator.search.searcher import Searcher
from services.runtime.request_context import CallContext, current_request


class SearchServicer(SearchServiceServicer):
    """See search_service.proto for what the methods promise."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def Search(self, request: pb.SearchRequest, context: CallContext) -> pb.SearchResponse:
        """Find items."""
        return await self._searcher.search(current_request().tenant, request)

    async def Suggest(self, request: pb.SuggestRequest, context: CallContext) -> pb.SuggestResponse:
        """Complete what was typed to titles."""
        return await self._searcher.suggest(current_request().tenant, request)
