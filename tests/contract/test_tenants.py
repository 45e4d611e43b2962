"""No RPC of the orchestrator reads or changes another tenant's state, whatever ids, tokens and cursors it is given.

The RPCs come from the descriptors: one without a case here fails the test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from marquee.entertainment.v1 import bundle_service_pb2 as bundle_pb
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import content_service_pb2 as content_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import experiment_service_pb2 as experiment_pb
from marquee.entertainment.v1 import insight_service_pb2 as insight_pb
from marquee.entertainment.v1 import moderation_service_pb2 as moderation_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import route_service_pb2 as route_pb
from marquee.entertainment.v1 import search_service_pb2 as search_pb
from marquee.entertainment.v1 import user_service_pb2 as user_pb
from marquee.entertainment.v1 import writing_service_pb2 as writing_pb
from marquee.entertainment.v1.preference_pb2 import UserSettings
from services.orchestrator.main import CONTRACTS, build
from services.orchestrator.settings import OrchestratorSettings
from tests.support.bundles import ITEMS, write_bundle
from tests.support.servers import running
from tests.support.tenant_caller import Caller, Case, media_cases
from tests.unit.services.orchestrator.recommend.model_services import ModelServices

OURS, THEIRS = "studio-a", "studio-b"
SECRET = "only-of-studio-a"
BLOCKED = "banana"  # by the policies of the first tenant
NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT


async def _fill(caller: Caller, version: str) -> None:
    """Give a tenant items, events, a serving bundle with one before it, a route, and lists with tokens."""
    items = [catalog_pb.Item(item_id=item_id, title=f"{caller.tenant} {item_id}") for item_id in ITEMS]
    await caller.ask("CatalogService.UpsertItems", catalog_pb.UpsertItemsRequest(items=items))
    events = [_event(f"e{number}", item_id) for number, item_id in enumerate(ITEMS[:4])]
    await caller.ask("EventService.WriteEvents", event_pb.WriteEventsRequest(events=events))
    for one in (f"{version}-old", version):
        await caller.ask("BundleService.ActivateBundle", bundle_pb.ActivateBundleRequest(version=one))
    arm = route_pb.RouteArm(name=f"arm-of-{caller.tenant}", version=version, weight=1)
    route = route_pb.Route(task="recommend", arms=[arm])
    await caller.ask("RouteService.SetRoute", route_pb.SetRouteRequest(route=route))
    shown = await caller.one("RecommendationService.Recommend", _recommend())
    assert shown.arm == arm.name
    assert not shown.degraded
    listed = await caller.one("CatalogService.ListItems", catalog_pb.ListItemsRequest(page_size=3))
    history = await caller.one(
        "EventService.ListUserEvents", event_pb.ListUserEventsRequest(user_id="ann", page_size=2)
    )
    caller.known = {
        "page": shown.next_page_token,
        "attribution": shown.items[0].attribution_token,
        "attributed": shown.items[0].item_id,
        "items": listed.next_page_token,
        "events": history.next_page_token,
    }
    assert all(caller.known.values())


def _event(event_id: str, item_id: str, **fields: Any) -> event_pb.Event:
    event = event_pb.Event(event_id=event_id, user_id="ann", item_id=item_id, kind=event_pb.EVENT_KIND_LIKE, **fields)
    event.event_time.FromSeconds(1_700_000_000)
    return event


def _recommend(**fields: Any) -> recommendation_pb.RecommendRequest:
    return recommendation_pb.RecommendRequest(user_id="ann", page_size=2, **fields)


@pytest.fixture
async def tenants(tmp_path: Path) -> AsyncIterator[tuple[Caller, Caller]]:
    """Two tenants with the same ids and different content; the first has an item more."""
    services = ModelServices(tmp_path)
    for tenant, version in ((OURS, "v1"), (THEIRS, "v2")):
        write_bundle(services.bundles, version, tenant)
        write_bundle(services.bundles, f"{version}-old", tenant)
    await services.start()
    patient = ("history_seconds", "slate_seconds", "candidate_seconds", "ranking_seconds")
    options: dict[str, Any] = dict.fromkeys(patient, 20.0)
    options |= {f"{family}_address": port.address for family, port in services._ports.items()}
    settings = OrchestratorSettings(
        port=0,
        drain_seconds=0,
        store_url=f"sqlite:///{tmp_path / 'store.sqlite'}",
        tenant_from_metadata=True,
        recommend_deadline_seconds=25.0,
        **options,
    )
    async with running(await build(settings), settings) as server:
        ours, theirs = Caller(server.channel, OURS), Caller(server.channel, THEIRS)
        await _fill(ours, "v1")
        await _fill(theirs, "v2")
        secret = catalog_pb.Item(item_id=SECRET, title="Secret")
        await ours.ask("CatalogService.UpsertItems", catalog_pb.UpsertItemsRequest(items=[secret]))
        await ours.ask("EventService.WriteEvents", event_pb.WriteEventsRequest(events=[_event("secret", SECRET)]))
        spy = [event_pb.Event(event_id="eve-1", user_id="eve", item_id=SECRET, kind=event_pb.EVENT_KIND_LIKE)]
        await ours.ask("EventService.WriteEvents", event_pb.WriteEventsRequest(events=spy))
        for name in ("default", "strict"):
            await _set_policy(ours, name, BLOCKED)
        yield ours, theirs
    await services.close()


async def _export(caller: Caller) -> list[bytes]:
    """Return everything that a tenant has, as bytes."""
    asked: Sequence[tuple[str, Message]] = [
        ("CatalogService.ExportItems", catalog_pb.ExportItemsRequest()),
        ("EventService.ExportEvents", event_pb.ExportEventsRequest()),
        ("UserService.ExportUser", user_pb.ExportUserRequest(user_id="ann")),
        ("UserService.ExportUser", user_pb.ExportUserRequest(user_id="eve")),
        ("RouteService.ListRoutes", route_pb.ListRoutesRequest()),
        ("ModerationService.ListModerationPolicies", moderation_pb.ListModerationPoliciesRequest()),
        ("BundleService.GetServingBundle", bundle_pb.GetServingBundleRequest()),
    ]
    return [
        reply.SerializeToString(deterministic=True)
        for method, request in asked
        for reply in await caller.ask(method, request)
    ]


CASES: dict[str, Case] = media_cases(SECRET, "strict")


def case(method: str) -> Callable[[Case], Case]:
    """Register what the second tenant tries with an RPC."""

    def register(tried: Case) -> Case:
        CASES[method] = tried
        return tried

    return register


@case("CatalogService.UpsertItems")
async def _(ours: Caller, theirs: Caller) -> None:
    items = [catalog_pb.Item(item_id=ITEMS[0], title="Overwritten"), catalog_pb.Item(item_id=SECRET, title="Mine")]
    answer = await theirs.one("CatalogService.UpsertItems", catalog_pb.UpsertItemsRequest(items=items))
    assert (answer.created_count, answer.updated_count) == (1, 1)


@case("CatalogService.UpdateItem")
async def _(ours: Caller, theirs: Caller) -> None:
    request = catalog_pb.UpdateItemRequest(
        item=catalog_pb.Item(item_id=SECRET, title="Mine"), update_mask=FieldMask(paths=["title"])
    )
    assert await theirs.refused("CatalogService.UpdateItem", request) is NOT_FOUND


@case("CatalogService.GetItem")
async def _(ours: Caller, theirs: Caller) -> None:
    request = catalog_pb.GetItemRequest(item_id=SECRET)
    assert await theirs.refused("CatalogService.GetItem", request) is NOT_FOUND
    same = await theirs.one("CatalogService.GetItem", catalog_pb.GetItemRequest(item_id=ITEMS[0]))
    assert same.item.title.startswith(THEIRS)


@case("CatalogService.ListItems")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = catalog_pb.ListItemsRequest(page_token=ours.known["items"])
    assert await theirs.refused("CatalogService.ListItems", foreign) is INVALID
    listed = await theirs.one("CatalogService.ListItems", catalog_pb.ListItemsRequest(page_size=1_000))
    assert listed.total_count == len(ITEMS)
    assert all(item.title.startswith(THEIRS) for item in listed.items)


@case("CatalogService.DeleteItem")
async def _(ours: Caller, theirs: Caller) -> None:
    request = catalog_pb.DeleteItemRequest(item_id=SECRET)
    assert await theirs.refused("CatalogService.DeleteItem", request) is NOT_FOUND
    await theirs.ask("CatalogService.DeleteItem", catalog_pb.DeleteItemRequest(item_id=ITEMS[0]))


@case("CatalogService.ExportItems")
async def _(ours: Caller, theirs: Caller) -> None:
    parts = await theirs.ask("CatalogService.ExportItems", catalog_pb.ExportItemsRequest())
    assert {one.item.title.split()[0] for part in parts for one in part.items} == {THEIRS}


@case("EventService.WriteEvents")
async def _(ours: Caller, theirs: Caller) -> None:
    taken = _event("new", ours.known["attributed"], attribution_token=ours.known["attribution"])
    assert await theirs.refused("EventService.WriteEvents", event_pb.WriteEventsRequest(events=[taken])) is INVALID
    same = event_pb.WriteEventsRequest(events=[_event("secret", SECRET)])
    answer = await theirs.one("EventService.WriteEvents", same)
    assert (answer.written_count, answer.duplicate_count) == (1, 0)


@case("EventService.StreamEvents")
async def _(ours: Caller, theirs: Caller) -> None:
    taken = _event("new", ours.known["attributed"], attribution_token=ours.known["attribution"])
    assert await theirs.refused("EventService.StreamEvents", event_pb.StreamEventsRequest(events=[taken])) is INVALID
    same = event_pb.StreamEventsRequest(events=[_event("secret", SECRET)])
    assert (await theirs.one("EventService.StreamEvents", same)).written_count == 1


@case("EventService.ListUserEvents")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = event_pb.ListUserEventsRequest(user_id="ann", page_token=ours.known["events"])
    assert await theirs.refused("EventService.ListUserEvents", foreign) is INVALID
    nobody = event_pb.ListUserEventsRequest(user_id="eve")
    assert await theirs.refused("EventService.ListUserEvents", nobody) is NOT_FOUND


@case("EventService.ExportEvents")
async def _(ours: Caller, theirs: Caller) -> None:
    parts = await theirs.ask("EventService.ExportEvents", event_pb.ExportEventsRequest())
    assert SECRET not in {one.item_id for part in parts for one in part.events}


@case("UserService.ExportUser")
async def _(ours: Caller, theirs: Caller) -> None:
    nobody = user_pb.ExportUserRequest(user_id="eve")
    assert await theirs.refused("UserService.ExportUser", nobody) is NOT_FOUND
    parts = await theirs.ask("UserService.ExportUser", user_pb.ExportUserRequest(user_id="ann"))
    assert {one.arm for part in parts for one in part.lists} == {f"arm-of-{THEIRS}"}


@case("UserService.EraseUser")
async def _(ours: Caller, theirs: Caller) -> None:
    assert (await theirs.one("UserService.EraseUser", user_pb.EraseUserRequest(user_id="eve"))).event_count == 0
    assert (await theirs.one("UserService.EraseUser", user_pb.EraseUserRequest(user_id="ann"))).event_count == 4


@case("RecommendationService.Recommend")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = _recommend(page_token=ours.known["page"])
    assert await theirs.refused("RecommendationService.Recommend", foreign) is INVALID
    shown = await theirs.one("RecommendationService.Recommend", _recommend(include_seen=True))
    assert (shown.arm, shown.bundle_version) == (f"arm-of-{THEIRS}", "v2")
    assert all(item.title.startswith(THEIRS) for item in shown.items)


@case("RecommendationService.SimilarItems")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = recommendation_pb.SimilarItemsRequest(item_id=SECRET)
    assert await theirs.refused("RecommendationService.SimilarItems", foreign) is NOT_FOUND
    shown = await theirs.one(
        "RecommendationService.SimilarItems", recommendation_pb.SimilarItemsRequest(item_id=ITEMS[0], page_size=100)
    )
    assert all(item.title.startswith(THEIRS) for item in shown.items)


@case("ExperimentService.GetArmReport")
async def _(ours: Caller, theirs: Caller) -> None:
    answer = await theirs.one("ExperimentService.GetArmReport", experiment_pb.GetArmReportRequest())
    assert {arm.arm for arm in answer.arms} == {f"arm-of-{THEIRS}"}


@case("InsightService.GetUserInsight")
async def _(ours: Caller, theirs: Caller) -> None:
    nobody = insight_pb.GetUserInsightRequest(user_id="eve")
    assert await theirs.refused("InsightService.GetUserInsight", nobody) is NOT_FOUND
    found = await theirs.one("InsightService.GetUserInsight", insight_pb.GetUserInsightRequest(user_id="ann"))
    assert found.event_count == 4


async def _set_policy(caller: Caller, name: str, phrase: str) -> moderation_pb.ModerationPolicy:
    policy = moderation_pb.ModerationPolicy(name=name, blocked_phrases=[phrase])
    request = moderation_pb.SetModerationPolicyRequest(policy=policy)
    stored: moderation_pb.ModerationPolicy = (await caller.one("ModerationService.SetModerationPolicy", request)).policy
    return stored


@case("ContentService.AnalyzeText")
async def _(ours: Caller, theirs: Caller) -> None:
    request = content_pb.AnalyzeTextRequest(texts=["a film"], features=[content_pb.TEXT_FEATURE_LANGUAGE])
    assert (await theirs.one("ContentService.AnalyzeText", request)).analyses[0].language.code == "en"


@case("ContentService.StreamAnalyzeText")
async def _(ours: Caller, theirs: Caller) -> None:
    request = content_pb.StreamAnalyzeTextRequest(text="a film", features=[content_pb.TEXT_FEATURE_LANGUAGE])
    replies = await theirs.ask("ContentService.StreamAnalyzeText", request, request)
    assert [reply.analysis.language.code for reply in replies] == ["en", "en"]


@case("ModerationService.SetModerationPolicy")
async def _(ours: Caller, theirs: Caller) -> None:
    assert (await _set_policy(theirs, "default", "else")).version == 1
    assert (await _set_policy(theirs, "default", "else")).version == 2


@case("ModerationService.GetModerationPolicy")
async def _(ours: Caller, theirs: Caller) -> None:
    request = moderation_pb.GetModerationPolicyRequest(name="strict")
    assert await theirs.refused("ModerationService.GetModerationPolicy", request) is NOT_FOUND


@case("ModerationService.ListModerationPolicies")
async def _(ours: Caller, theirs: Caller) -> None:
    request = moderation_pb.ListModerationPoliciesRequest()
    assert not (await theirs.one("ModerationService.ListModerationPolicies", request)).policies


@case("ModerationService.ModerateText")
async def _(ours: Caller, theirs: Caller) -> None:
    request = moderation_pb.ModerateTextRequest(texts=[BLOCKED], policy="strict")
    assert await theirs.refused("ModerationService.ModerateText", request) is NOT_FOUND
    await _set_policy(theirs, "strict", "else")
    (decision,) = (await theirs.one("ModerationService.ModerateText", request)).decisions
    assert decision.action != moderation_pb.MODERATION_ACTION_BLOCK


@case("ModerationService.StreamModerateText")
async def _(ours: Caller, theirs: Caller) -> None:
    request = moderation_pb.StreamModerateTextRequest(message_id="1", text=BLOCKED)
    (ours_reply,) = await ours.ask("ModerationService.StreamModerateText", request)
    (theirs_reply,) = await theirs.ask("ModerationService.StreamModerateText", request)
    assert ours_reply.decision.action == moderation_pb.MODERATION_ACTION_BLOCK
    assert theirs_reply.decision.action != moderation_pb.MODERATION_ACTION_BLOCK


@case("WritingService.ExplainItem")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = writing_pb.ExplainItemRequest(user_id="ann", item_ids=[SECRET])
    assert await theirs.refused("WritingService.ExplainItem", foreign) is NOT_FOUND
    shown = writing_pb.ExplainItemRequest(attribution_token=ours.known["attribution"])
    assert await theirs.refused("WritingService.ExplainItem", shown) is NOT_FOUND
    same = writing_pb.ExplainItemRequest(user_id="ann", item_ids=[ITEMS[0]])
    (explained,) = (await theirs.one("WritingService.ExplainItem", same)).explanations
    assert THEIRS in explained.written.text
    assert OURS not in str(explained)


@case("WritingService.WriteBlurb")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = writing_pb.WriteBlurbRequest(item_id=SECRET)
    assert await theirs.refused("WritingService.WriteBlurb", foreign) is NOT_FOUND
    (written,) = (
        await theirs.one("WritingService.WriteBlurb", writing_pb.WriteBlurbRequest(item_id=ITEMS[0]))
    ).variants
    assert THEIRS in written.text


@case("WritingService.SummarizeReviews")
async def _(ours: Caller, theirs: Caller) -> None:
    request = writing_pb.SummarizeReviewsRequest(reviews=[writing_pb.Review(text="A film.")])
    assert (await theirs.one("WritingService.SummarizeReviews", request)).review_count == 1


@case("WritingService.GenerateText")
async def _(ours: Caller, theirs: Caller) -> None:
    request = writing_pb.GenerateTextRequest(prompt="A film", hold_back=True, policy="stricter")
    await _set_policy(theirs, "stricter", "else")
    with pytest.raises(grpc.aio.AioRpcError, match="no moderation policy"):
        await ours.ask("WritingService.GenerateText", request)


@case("RecommendationService.GetHomePage")
async def _(ours: Caller, theirs: Caller) -> None:
    request = recommendation_pb.GetHomePageRequest(list=_recommend(include_seen=False), row_count=20)
    page = await theirs.one("RecommendationService.GetHomePage", request)
    assert page.rows
    assert all(item.title.startswith(THEIRS) for row in page.rows for item in row.items)
    taken = page.rows[0].items[0]
    event = _event("new", taken.item_id, attribution_token=taken.attribution_token)
    assert await ours.refused("EventService.WriteEvents", event_pb.WriteEventsRequest(events=[event])) is INVALID


@case("RecommendationService.ContinueWatching")
async def _(ours: Caller, theirs: Caller) -> None:
    play = _event("begun", SECRET, watched_fraction=0.5)
    play.kind, play.user_id = event_pb.EVENT_KIND_PLAY, "bob"
    await theirs.ask("EventService.WriteEvents", event_pb.WriteEventsRequest(events=[play]))
    request = recommendation_pb.ContinueWatchingRequest(user_id="bob")
    assert not (await theirs.one("RecommendationService.ContinueWatching", request)).items


@case("SearchService.Search")
async def _(ours: Caller, theirs: Caller) -> None:
    request = search_pb.SearchRequest(query="studio", page_size=3)
    found = await theirs.one("SearchService.Search", request)
    assert found.items
    assert all(item.title.startswith(THEIRS) for item in found.items)
    request.page_token = (await ours.one("SearchService.Search", request)).next_page_token
    assert request.page_token
    assert await theirs.refused("SearchService.Search", request) is INVALID


@case("SearchService.Suggest")
async def _(ours: Caller, theirs: Caller) -> None:
    request = search_pb.SuggestRequest(query="studio", page_size=20)
    found = await theirs.one("SearchService.Suggest", request)
    assert found.items
    assert all(item.title.startswith(THEIRS) for item in found.items)


@case("UserService.SetUserSettings")
async def _(ours: Caller, theirs: Caller) -> None:
    settings = UserSettings(region="DE")
    await theirs.ask("UserService.SetUserSettings", user_pb.SetUserSettingsRequest(user_id="eve", settings=settings))
    request = user_pb.GetUserSettingsRequest(user_id="eve")
    assert not (await ours.one("UserService.GetUserSettings", request)).settings.region


@case("UserService.GetUserSettings")
async def _(ours: Caller, theirs: Caller) -> None:
    request = user_pb.GetUserSettingsRequest(user_id="ann")
    assert (await theirs.one("UserService.GetUserSettings", request)).settings == UserSettings()


@case("BundleService.ActivateBundle")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = bundle_pb.ActivateBundleRequest(version="v1")
    assert await theirs.refused("BundleService.ActivateBundle", foreign) is grpc.StatusCode.FAILED_PRECONDITION


@case("BundleService.RollbackBundle")
async def _(ours: Caller, theirs: Caller) -> None:
    answer = await theirs.one("BundleService.RollbackBundle", bundle_pb.RollbackBundleRequest())
    assert answer.version == "v2-old"


@case("BundleService.GetServingBundle")
async def _(ours: Caller, theirs: Caller) -> None:
    answer = await theirs.one("BundleService.GetServingBundle", bundle_pb.GetServingBundleRequest())
    assert (answer.version, answer.catalog_count, answer.event_count) == ("v2", len(ITEMS), 4)


@case("RouteService.SetRoute")
async def _(ours: Caller, theirs: Caller) -> None:
    foreign = route_pb.Route(task="recommend", arms=[route_pb.RouteArm(name="taken", version="v1", weight=1)])
    request = route_pb.SetRouteRequest(route=foreign)
    assert await theirs.refused("RouteService.SetRoute", request) is grpc.StatusCode.FAILED_PRECONDITION
    request.route.arms[0].version = ""
    await theirs.ask("RouteService.SetRoute", request)


@case("RouteService.GetRoute")
async def _(ours: Caller, theirs: Caller) -> None:
    answer = await theirs.one("RouteService.GetRoute", route_pb.GetRouteRequest(task="recommend"))
    assert [arm.name for arm in answer.route.arms] == [f"arm-of-{THEIRS}"]


@case("RouteService.ListRoutes")
async def _(ours: Caller, theirs: Caller) -> None:
    answer = await theirs.one("RouteService.ListRoutes", route_pb.ListRoutesRequest())
    assert [arm.name for route in answer.routes for arm in route.arms] == [f"arm-of-{THEIRS}"]


@case("RouteService.DeleteRoute")
async def _(ours: Caller, theirs: Caller) -> None:
    await theirs.ask("RouteService.DeleteRoute", route_pb.DeleteRouteRequest(task="recommend"))


def every_rpc() -> list[str]:
    pool = descriptor_pool.Default()
    return [
        f"{contract.rpartition('.')[2]}.{method.name}"
        for contract in CONTRACTS
        for method in pool.FindServiceByName(contract).methods
    ]


def test_every_rpc_is_tried() -> None:
    assert sorted(CASES) == sorted(every_rpc())


async def test_no_rpc_reads_or_changes_what_is_another_tenants(tenants: tuple[Caller, Caller]) -> None:
    ours, theirs = tenants
    before = await _export(ours)
    # What deletes comes last, so that the others still have something to mix up.
    for method in sorted(CASES, key=lambda name: ("Delete" in name or "Erase" in name or "Rollback" in name, name)):
        if method in {"CatalogService.UpsertItems", "EventService.WriteEvents", "EventService.StreamEvents"}:
            continue
        await CASES[method](ours, theirs)
        assert await _export(ours) == before, method


@pytest.mark.parametrize(
    "method", ["CatalogService.UpsertItems", "EventService.WriteEvents", "EventService.StreamEvents"]
)
async def test_writing_the_same_ids_changes_nothing_of_another_tenant(
    tenants: tuple[Caller, Caller], method: str
) -> None:
    ours, theirs = tenants
    before = await _export(ours)
    await CASES[method](ours, theirs)
    assert await _export(ours) == before


@pytest.mark.parametrize("tenant", ["Studio A", "../a", "x" * 65])
async def test_a_malformed_tenant_is_refused(tenants: tuple[Caller, Caller], tenant: str) -> None:
    stranger = Caller(tenants[0].channel, tenant)
    assert await stranger.refused("CatalogService.GetItem", catalog_pb.GetItemRequest(item_id=SECRET)) is INVALID
