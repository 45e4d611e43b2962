"""Which bundle makes a list: the serving one, or an arm of the tenant's route."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from marquee.entertainment.v1.route_service_pb2 import ROUTE_KEY_REQUEST
from services.orchestrator.store.records import RecommendationState, Route, RouteArm
from services.runtime.errors import FieldViolation, InvalidRequest

RECOMMEND = "recommend"
"""The task that routes between bundles."""


def choose_bundle(state: RecommendationState, tenant: str, user_id: str, request_id: str) -> RouteArm:
    """Return the arm with its bundle's version; the serving bundle under an empty name without a route.

    The same user, or the same request for a route by request, always gets the same arm.
    """
    if state.route is None:
        return RouteArm("", "", state.bundle.version, 1)
    key = request_id if state.route.key == ROUTE_KEY_REQUEST else user_id
    arm = choose_arm(state.route, tenant, key)
    return replace(arm, version=arm.version or state.bundle.version)


def named_arm(state: RecommendationState, name: str) -> RouteArm:
    """Return the arm of the route that a request names, with its bundle's version.

    Raises:
        InvalidRequest: the route has no such arm, or there is no route.
    """
    arms = state.route.arms if state.route else ()
    for arm in arms:
        if arm.name == name:
            return replace(arm, version=arm.version or state.bundle.version)
    there = ", ".join(arm.name for arm in arms)
    advice = f"its arms are {there}" if there else "no route is set"
    raise InvalidRequest([FieldViolation("arm", f"{name[:64]!r} is no arm of the route {RECOMMEND!r}; {advice}")])


def choose_arm(route: Route, tenant: str, key: str) -> RouteArm:
    """Return the arm whose share of the hash's range the key falls into; exact to 2^-64."""
    words = "\0".join((route.salt, tenant, route.task, key)).encode()
    total = sum(arm.weight for arm in route.arms)
    # The top of a 64-bit product: no modulo, so no arm is favoured.
    place = int.from_bytes(hashlib.blake2b(words, digest_size=8).digest()) * total >> 64
    for arm in route.arms:
        place -= arm.weight
        if place < 0:
            return arm
    raise ValueError(f"route {route.task!r} has no arm with a weight above zero")


def routed_bundles(routes: Iterable[Route]) -> set[str]:
    """Return the versions of bundles that routes name."""
    return {arm.version for route in routes if route.task == RECOMMEND for arm in route.arms} - {""}
