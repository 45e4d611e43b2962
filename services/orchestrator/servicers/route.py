"""RouteService: which bundle makes whose lists. An arm is taken only when every model service has its bundle."""

from __future__ import annotations

import re

from marquee.entertainment.v1 import route_service_pb2 as pb
from marquee.entertainment.v1.route_service_pb2_grpc import RouteServiceServicer
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.routing import RECOMMEND, routed_bundles
from services.orchestrator.servicers.bundle import require_all
from services.orchestrator.store import Store
from services.orchestrator.store.records import Route, RouteArm
from services.runtime.errors import NotFound
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_ARMS = 20
_MOST_WEIGHT = 1_000_000


class RouteServicer(RouteServiceServicer):
    """See route_service.proto for what the methods promise."""

    def __init__(self, store: Store, bundles: BundleKeeper) -> None:
        self._store = store
        self._bundles = bundles

    async def SetRoute(self, request: pb.SetRouteRequest, context: CallContext) -> pb.SetRouteResponse:
        """Have the bundles of all arms loaded everywhere, then set the route."""
        route = _checked(request.route)
        tenant = current_request().tenant
        for version in sorted(routed_bundles([route])):
            require_all(version, await self._bundles.load_everywhere(tenant, version), "routed to")
        stored = await self._store.set_route(tenant, route)
        await self._bundles.unload_unused(tenant)
        return pb.SetRouteResponse(route=_message(stored))

    async def GetRoute(self, request: pb.GetRouteRequest, context: CallContext) -> pb.GetRouteResponse:
        """Return one route."""
        check = Violations()
        _check_task(check, "task", request.task)
        check.raise_if_any()
        for route in await self._store.list_routes(current_request().tenant):
            if route.task == request.task:
                return pb.GetRouteResponse(route=_message(route))
        raise NotFound("task", "route", request.task)

    async def ListRoutes(self, request: pb.ListRoutesRequest, context: CallContext) -> pb.ListRoutesResponse:
        """Return all routes."""
        routes = await self._store.list_routes(current_request().tenant)
        return pb.ListRoutesResponse(routes=map(_message, routes))

    async def DeleteRoute(self, request: pb.DeleteRouteRequest, context: CallContext) -> pb.DeleteRouteResponse:
        """Delete a route; the serving bundle answers everybody again."""
        check = Violations()
        _check_task(check, "task", request.task)
        check.raise_if_any()
        tenant = current_request().tenant
        if not await self._store.delete_route(tenant, request.task):
            raise NotFound("task", "route", request.task)
        await self._bundles.unload_unused(tenant)
        return pb.DeleteRouteResponse()


def _checked(message: pb.Route) -> Route:
    check = Violations()
    _check_task(check, "route.task", message.task)
    if message.key not in pb.RouteKey.values():
        check.add("route.key", f"is {message.key}, which is no key that this version knows")
    check.text("route.salt", message.salt, minimum=0, maximum=64)
    if check.count("route.arms", message.arms, minimum=1, maximum=_MOST_ARMS):
        for index, arm in enumerate(message.arms):
            _check_arm(check, f"route.arms[{index}]", arm)
        check.unique("route.arms", [arm.name for arm in message.arms])
        if not any(arm.weight for arm in message.arms):
            check.add("route.arms", "have no weight above zero; give one to the arm that should answer")
    check.raise_if_any()
    return Route(
        task=message.task,
        key=message.key or pb.ROUTE_KEY_USER,
        arms=tuple(RouteArm(arm.name, arm.model, arm.version, arm.weight) for arm in message.arms),
        salt=message.salt,
    )


def _check_task(check: Violations, field: str, task: str) -> None:
    if task != RECOMMEND:
        check.add(field, f"is {task[:64]!r}; what can be routed is {RECOMMEND!r}")


def _check_arm(check: Violations, field: str, arm: pb.RouteArm) -> None:
    if not _NAME.fullmatch(arm.name):
        check.add(f"{field}.name", 'is not 1 to 64 characters of a-z, A-Z, 0-9, ".", "_" and "-"')
    if arm.model and not _NAME.fullmatch(arm.model):
        check.add(f"{field}.model", 'is no name of a ranker; bundles have "linear", "svm" and others')
    if arm.version:
        check.version(f"{field}.version", arm.version)
    check.within(f"{field}.weight", arm.weight, 0, _MOST_WEIGHT)


def _message(route: Route) -> pb.Route:
    message = pb.Route(
        task=route.task,
        key=pb.RouteKey.ValueType(route.key),
        arms=[
            pb.RouteArm(name=arm.name, model=arm.model, version=arm.version, weight=arm.weight) for arm in route.arms
        ],
        salt=route.salt,
    )
    message.update_time.FromMicroseconds(route.update_time)
    return message
