"""The synchronous client."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, Unpack

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from marquee.entertainment.v1 import bundle_service_pb2 as bundle_pb
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import content_service_pb2 as content_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import experiment_service_pb2 as experiment_pb
from marquee.entertainment.v1 import insight_service_pb2 as insight_pb
from marquee.entertainment.v1 import moderation_service_pb2 as moderation_pb
from marquee.entertainment.v1 import preference_pb2 as preference_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import route_service_pb2 as route_pb
from marquee.entertainment.v1 import search_service_pb2 as search_pb
from marquee.entertainment.v1 import user_service_pb2 as user_pb
from marquee.entertainment.v1.bundle_service_pb2_grpc import BundleServiceStub
from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceStub
from marquee.entertainment.v1.content_service_pb2_grpc import ContentServiceStub
from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceStub
from marquee.entertainment.v1.experiment_service_pb2_grpc import ExperimentServiceStub
from marquee.entertainment.v1.insight_service_pb2_grpc import InsightServiceStub
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceStub
from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from marquee.entertainment.v1.route_service_pb2_grpc import RouteServiceStub
from marquee.entertainment.v1.search_service_pb2_grpc import SearchServiceStub
from marquee.entertainment.v1.user_service_pb2_grpc import UserServiceStub
from marquee_client.channel import ChannelOptions
from marquee_client.error_mapping import REQUEST_ID_KEY, error_from
from marquee_client.media_calls import MediaCalls
from marquee_client.options import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT,
    EXPORT_TIMEOUT,
    ListOptions,
    RecommendOptions,
    SearchOptions,
    new_request_id,
)
from marquee_client.tls import Tls


class MarqueeClient(MediaCalls):
    """Calls the orchestrator of a Marquee mesh. Threads may share one client.

    Every method raises a `MarqueeError`. Calls that are safe to repeat are repeated while the orchestrator is
    unavailable, for a second or two.

    Args:
        target: gRPC target of the orchestrator, for example "127.0.0.1:50060" or "dns:///orchestrator:50060".
        timeout: seconds a call may take, retries included, where the call names no `timeout` of its own.
            Exports may take ten minutes.
        request_id: id of the calls in the services' logs; None gives each call a new one.
        tls: how to speak TLS; None speaks plaintext.
        channel_options: options of gRPC's channel instead of the client's own, for example for a slow way there.

    Example:
        >>> with MarqueeClient() as client:  # doctest: +SKIP
        ...     client.write_events([Event(event_id="e1", user_id="196", item_id="242", kind=EVENT_KIND_LIKE)])
        ...     for item in client.recommend("196", page_size=5, excluded_tags=["Horror"]).items:
        ...         print(item.title, "-", item.reasons[0].text)
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        request_id: str | None = None,
        tls: Tls | None = None,
        channel_options: ChannelOptions = (),
    ) -> None:
        super().__init__(target, timeout, request_id, tls, channel_options)
        self._recommendation = RecommendationServiceStub(self._channel)
        self._insight = InsightServiceStub(self._channel)
        self._experiment = ExperimentServiceStub(self._channel)
        self._search = SearchServiceStub(self._channel)
        self._content = ContentServiceStub(self._channel)
        self._moderation = ModerationServiceStub(self._channel)
        self._catalog = CatalogServiceStub(self._channel)
        self._event = EventServiceStub(self._channel)
        self._bundle = BundleServiceStub(self._channel)
        self._user = UserServiceStub(self._channel)
        self._route = RouteServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the client cannot be used afterwards."""
        self._channel.close()

    # --- lists ---------------------------------------------------------------------------------------

    def recommend(
        self, user_id: str, *, timeout: float | None = None, **options: Unpack[RecommendOptions]
    ) -> recommendation_pb.RecommendResponse:
        """Return a list for a user, with reasons and the steps that made it. See `RecommendOptions`."""
        request = recommendation_pb.RecommendRequest(user_id=user_id, **options)
        return self._call(self._recommendation.Recommend, request, timeout)

    def similar_items(
        self, item_id: str, *, timeout: float | None = None, **options: Unpack[ListOptions]
    ) -> recommendation_pb.SimilarItemsResponse:
        """Return the items most like one item. See `ListOptions`. `NotFound` when the item is unknown."""
        request = recommendation_pb.SimilarItemsRequest(item_id=item_id, **options)
        return self._call(self._recommendation.SimilarItems, request, timeout)

    def home_page(
        self, user_id: str, *, row_count: int = 0, timeout: float | None = None, **options: Unpack[RecommendOptions]
    ) -> recommendation_pb.GetHomePageResponse:
        """Return a page of several rows without repeats. See `RecommendOptions`; `page_size` is the length of a row."""
        wishes = recommendation_pb.RecommendRequest(user_id=user_id, **options)
        request = recommendation_pb.GetHomePageRequest(list=wishes, row_count=row_count)
        return self._call(self._recommendation.GetHomePage, request, timeout)

    def continue_watching(
        self, user_id: str, *, page_size: int = 0, timeout: float | None = None
    ) -> list[recommendation_pb.StartedItem]:
        """Return what the user began and did not finish, newest first."""
        request = recommendation_pb.ContinueWatchingRequest(user_id=user_id, page_size=page_size)
        return list((self._call(self._recommendation.ContinueWatching, request, timeout)).items)

    def search(
        self, query: str, *, timeout: float | None = None, **options: Unpack[SearchOptions]
    ) -> search_pb.SearchResponse:
        """Find titles by words (typing errors allowed) and by meaning. See `SearchOptions`.

        Nothing found is an empty list with a `reason`.
        """
        request = search_pb.SearchRequest(query=query, **options)
        return self._call(self._search.Search, request, timeout)

    def suggest(
        self, query: str, *, timeout: float | None = None, **options: Unpack[ListOptions]
    ) -> list[search_pb.FoundItem]:
        """Complete what was typed so far to titles. See `ListOptions`; `page_size` is 8 when left out, at most 20."""
        request = search_pb.SuggestRequest(query=query, **options)
        return list((self._call(self._search.Suggest, request, timeout)).items)

    def user_insight(
        self,
        user_id: str,
        *,
        horizon_days: float = 0.0,
        now: datetime.datetime | None = None,
        timeout: float | None = None,
    ) -> insight_pb.GetUserInsightResponse:
        """Tell what a user is likely to do, likes, and is like; `NotFound` for a user without events.

        `now`, with a time zone, is the moment to look from instead of this one.
        """
        request = insight_pb.GetUserInsightRequest(user_id=user_id, horizon_days=horizon_days)
        if now is not None:
            request.now.FromDatetime(now)
        return self._call(self._insight.GetUserInsight, request, timeout)

    # --- content -------------------------------------------------------------------------------------

    def analyze_text(
        self,
        texts: Iterable[str],
        *,
        features: Iterable[content_pb.TextFeature.ValueType] = (),
        tags: Iterable[str] = (),
        tag_count: int = 0,
        language: str = "",
        timeout: float | None = None,
    ) -> content_pb.AnalyzeTextResponse:
        """Analyse 1 to 256 texts: sentiment, emotions, toxicity with spans, your own tags, language.

        All of them when no feature is named. A feature that could not answer is named in the analysis.
        """
        request = content_pb.AnalyzeTextRequest(
            texts=texts, features=features, tags=tags, tag_count=tag_count, language=language
        )
        return self._call(self._content.AnalyzeText, request, timeout)

    def moderate_text(
        self,
        texts: Iterable[str],
        *,
        policy: str = "",
        dry_run: moderation_pb.ModerationPolicy | None = None,
        language: str = "",
        timeout: float | None = None,
    ) -> moderation_pb.ModerateTextResponse:
        """Decide on 1 to 256 messages by a policy; with `dry_run`, also by one that is not stored."""
        request = moderation_pb.ModerateTextRequest(texts=texts, policy=policy, dry_run=dry_run, language=language)
        return self._call(self._moderation.ModerateText, request, timeout)

    def moderate_chat(
        self,
        messages: Iterable[tuple[str, str]],
        *,
        policy: str = "",
        language: str = "",
        timeout: float = EXPORT_TIMEOUT,
    ) -> Iterator[moderation_pb.StreamModerateTextResponse]:
        """Decide on (message id, text) as they come, in their order; a bad message is answered with its `error`."""
        request_id = self._request_id or new_request_id()
        requests = (
            moderation_pb.StreamModerateTextRequest(message_id=name, text=text, policy=policy, language=language)
            for name, text in messages
        )
        call = self._moderation.StreamModerateText(requests, timeout=timeout, metadata=((REQUEST_ID_KEY, request_id),))
        try:
            yield from call
        except grpc.RpcError as error:
            raise error_from(error, request_id) from error
        finally:
            call.cancel()

    def set_moderation_policy(
        self, policy: moderation_pb.ModerationPolicy, *, expected_version: int = 0, timeout: float | None = None
    ) -> moderation_pb.ModerationPolicy:
        """Make a new version of a policy; `FailedPrecondition` when `expected_version` is not the newest."""
        request = moderation_pb.SetModerationPolicyRequest(policy=policy, expected_version=expected_version)
        return (self._call(self._moderation.SetModerationPolicy, request, timeout)).policy

    def moderation_policy(
        self, name: str = "", *, version: int = 0, timeout: float | None = None
    ) -> moderation_pb.ModerationPolicy:
        """Return the version of a policy that decides, or an older one; `NotFound` when it was never set."""
        request = moderation_pb.GetModerationPolicyRequest(name=name, version=version)
        return (self._call(self._moderation.GetModerationPolicy, request, timeout)).policy

    def moderation_policies(
        self, *, limit: int = 0, timeout: float | None = None
    ) -> list[moderation_pb.ModerationPolicy]:
        """List versions of all policies, newest first, without their phrases."""
        request = moderation_pb.ListModerationPoliciesRequest(limit=limit)
        return list((self._call(self._moderation.ListModerationPolicies, request, timeout)).policies)

    # --- catalogue -----------------------------------------------------------------------------------

    def upsert_items(
        self, items: Iterable[catalog_pb.Item], *, keep_valid: bool = False, timeout: float | None = None
    ) -> catalog_pb.UpsertItemsResponse:
        """Create or replace 1 to 500 items; `InvalidArgument` refuses all and names each invalid field. With
        `keep_valid`, the valid ones are stored and the answer reports the others.
        """
        request = catalog_pb.UpsertItemsRequest(items=items, keep_valid=keep_valid)
        return self._call(self._catalog.UpsertItems, request, timeout)

    def update_item(
        self, item: catalog_pb.Item, fields: Iterable[str], *, timeout: float | None = None
    ) -> catalog_pb.Item:
        """Change the named fields of an item, for example "title" or "availability.end_time", and return it."""
        request = catalog_pb.UpdateItemRequest(item=item, update_mask=FieldMask(paths=fields))
        return self._call(self._catalog.UpdateItem, request, timeout).item

    def get_item(self, item_id: str, *, timeout: float | None = None) -> catalog_pb.Item:
        """Return one item; `NotFound` when the id is unknown."""
        return self._call(self._catalog.GetItem, catalog_pb.GetItemRequest(item_id=item_id), timeout).item

    def list_items(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[catalog_pb.Item]:
        """Iterate over the whole catalogue in the order of the ids; pages are fetched as they are needed."""
        request = catalog_pb.ListItemsRequest(page_size=page_size)
        while True:
            page = self._call(self._catalog.ListItems, request, timeout)
            yield from page.items
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete_item(self, item_id: str, *, timeout: float | None = None) -> None:
        """Delete one item; its events stay. `NotFound` when the id is unknown."""
        self._call(self._catalog.DeleteItem, catalog_pb.DeleteItemRequest(item_id=item_id), timeout)

    def export_items(self, *, timeout: float = EXPORT_TIMEOUT) -> Iterator[catalog_pb.ExportedItem]:
        """Stream the whole catalogue with its vectors."""
        for part in self._stream(self._catalog.ExportItems, catalog_pb.ExportItemsRequest(), timeout):
            yield from part.items

    # --- events --------------------------------------------------------------------------------------

    def write_events(
        self, events: Iterable[event_pb.Event], *, timeout: float | None = None
    ) -> event_pb.WriteEventsResponse:
        """Write 1 to 1,000 events, all or none. They are on disk when this returns.

        Sending stored ones again is harmless: they are counted as duplicates.
        """
        return self._call(self._event.WriteEvents, event_pb.WriteEventsRequest(events=events), timeout)

    def list_user_events(
        self, user_id: str, *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[event_pb.Event]:
        """Iterate over a user's events, newest first; pages are fetched as they are needed.

        `NotFound` when the user has none.
        """
        request = event_pb.ListUserEventsRequest(user_id=user_id, page_size=page_size)
        while True:
            page = self._call(self._event.ListUserEvents, request, timeout)
            yield from page.events
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def export_events(
        self, *, after_sequence: int = 0, timeout: float = EXPORT_TIMEOUT
    ) -> Iterator[event_pb.ExportedEvent]:
        """Stream all events stored after a sequence number, in the order they were stored."""
        request = event_pb.ExportEventsRequest(after_sequence=after_sequence)
        for part in self._stream(self._event.ExportEvents, request, timeout):
            yield from part.events

    def stream_events(
        self, batches: Iterable[Iterable[event_pb.Event]], *, timeout: float = EXPORT_TIMEOUT
    ) -> event_pb.StreamEventsResponse:
        """Write batches of 1 to 1,000 events, each stored as it arrives. After a failure, all may be sent again."""
        request_id = self._request_id or new_request_id()
        requests = (event_pb.StreamEventsRequest(events=batch) for batch in batches)
        try:
            return self._event.StreamEvents(requests, timeout=timeout, metadata=((REQUEST_ID_KEY, request_id),))
        except grpc.RpcError as error:
            raise error_from(error, request_id) from error

    # --- users ---------------------------------------------------------------------------------------

    def export_user(self, user_id: str, *, timeout: float = EXPORT_TIMEOUT) -> Iterator[user_pb.ExportUserResponse]:
        """Stream everything that is stored about a user; `NotFound` when nothing is."""
        yield from self._stream(self._user.ExportUser, user_pb.ExportUserRequest(user_id=user_id), timeout)

    def erase_user(self, user_id: str, *, timeout: float = EXPORT_TIMEOUT) -> user_pb.EraseUserResponse:
        """Erase everything that is stored about a user; returns the receipt."""
        return self._call(self._user.EraseUser, user_pb.EraseUserRequest(user_id=user_id), timeout)

    def set_user_settings(
        self, user_id: str, settings: preference_pb.UserSettings, *, timeout: float | None = None
    ) -> preference_pb.UserSettings:
        """Store what a user wishes for, in place of what was stored; it applies where requests are silent."""
        request = user_pb.SetUserSettingsRequest(user_id=user_id, settings=settings)
        return (self._call(self._user.SetUserSettings, request, timeout)).settings

    def user_settings(self, user_id: str, *, timeout: float | None = None) -> preference_pb.UserSettings:
        """Return what a user wishes for; an empty message when nothing is stored."""
        request = user_pb.GetUserSettingsRequest(user_id=user_id)
        return (self._call(self._user.GetUserSettings, request, timeout)).settings

    # --- bundles -------------------------------------------------------------------------------------

    def activate_bundle(self, version: str, *, timeout: float | None = None) -> bundle_pb.ActivateBundleResponse:
        """Make a bundle the serving one once every model service has loaded it."""
        return self._call(self._bundle.ActivateBundle, bundle_pb.ActivateBundleRequest(version=version), timeout)

    def rollback_bundle(self, *, timeout: float | None = None) -> bundle_pb.RollbackBundleResponse:
        """Go back to the bundle that served before; `FailedPrecondition` when there is none."""
        return self._call(self._bundle.RollbackBundle, bundle_pb.RollbackBundleRequest(), timeout)

    def serving_bundle(self, *, timeout: float | None = None) -> bundle_pb.GetServingBundleResponse:
        """Tell which bundle serves, and how many items and events there are."""
        return self._call(self._bundle.GetServingBundle, bundle_pb.GetServingBundleRequest(), timeout)

    # --- routes --------------------------------------------------------------------------------------

    def set_route(self, route: route_pb.Route, *, timeout: float | None = None) -> route_pb.Route:
        """Set the route of a task once every model service has what its arms name."""
        return self._call(self._route.SetRoute, route_pb.SetRouteRequest(route=route), timeout).route

    def list_routes(self, *, timeout: float | None = None) -> list[route_pb.Route]:
        """Return all routes."""
        return list(self._call(self._route.ListRoutes, route_pb.ListRoutesRequest(), timeout).routes)

    def delete_route(self, task: str, *, timeout: float | None = None) -> None:
        """Delete the route of a task; `NotFound` when there is none."""
        self._call(self._route.DeleteRoute, route_pb.DeleteRouteRequest(task=task), timeout)

    def arm_report(
        self,
        *,
        start: datetime.datetime | None = None,
        end: datetime.datetime | None = None,
        surface: str = "",
        timeout: float | None = None,
    ) -> list[experiment_pb.ArmReport]:
        """Compare the arms of the route by what followed from their lists; times have a time zone."""
        request = experiment_pb.GetArmReportRequest(surface=surface)
        if start is not None:
            request.start_time.FromDatetime(start)
        if end is not None:
            request.end_time.FromDatetime(end)
        return list((self._call(self._experiment.GetArmReport, request, timeout)).arms)
