"""How lists and small objects are kept in columns of text."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.orchestrator.store.records import EVERYWHERE, Availability, ItemVector, Route, RouteArm


def pack_strings(strings: Sequence[str]) -> str:
    """Return the strings as a JSON array."""
    return json.dumps(strings, ensure_ascii=False)


def unpack_strings(packed: str) -> tuple[str, ...]:
    """Return the strings of a JSON array."""
    return () if packed == "[]" else tuple(json.loads(packed))


def pack_availability(availability: Availability) -> str:
    """Return what is limited as a JSON object; empty when nothing is."""
    if availability == EVERYWHERE:
        return ""
    limits = {
        "regions": availability.regions,
        "start_time": availability.start_time,
        "end_time": availability.end_time,
        "entitlements": availability.entitlements,
    }
    return json.dumps({name: limit for name, limit in limits.items() if limit not in (None, ())}, ensure_ascii=False)


def unpack_availability(packed: str) -> Availability:
    """Return the limits in a JSON object."""
    if not packed:
        return EVERYWHERE
    limits = json.loads(packed)
    return Availability(
        tuple(limits.get("regions", ())),
        limits.get("start_time"),
        limits.get("end_time"),
        tuple(limits.get("entitlements", ())),
    )


def pack_route(route: Route) -> str:
    """Return how a task is routed as a JSON object."""
    arms = [[arm.name, arm.model, arm.version, arm.weight] for arm in route.arms]
    return json.dumps({"key": route.key, "salt": route.salt, "arms": arms}, ensure_ascii=False)


def unpack_route(task: str, packed: str, update_time: int) -> Route:
    """Return the route in a JSON object."""
    route = json.loads(packed)
    return Route(task, route["key"], tuple(RouteArm(*arm) for arm in route["arms"]), route["salt"], update_time)


def unpack_vector(values: bytes | None, model: str, version: str) -> ItemVector | None:
    """Return the vector of three columns."""
    return None if values is None else ItemVector(values, model, version)


def vector_columns(vector: ItemVector | None) -> tuple[bytes | None, str | None, str | None]:
    """Return values, model and version; None without a vector."""
    return (None, None, None) if vector is None else (vector.values, vector.model, vector.version)
