"""gRPC calls of Locust's users: sent through gevent, reported to its statistics by name, failures by code and reason.

Import this before anything that creates a channel.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.experimental.gevent
from locust import events
from locust.env import Environment

from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceStub
from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceStub
from marquee.entertainment.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from marquee_client.error_mapping import error_from

grpc.experimental.gevent.init_gevent()  # importing locust has patched the standard library before

# Retries stay on: without a policy gRPC repeats only what no server has seen, as when a connection ends with its age.
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_ITEMS = 1000
_SECONDS = 10.0


class Refused(Exception):
    """A call failed; its text is what Locust groups failures by."""


@dataclass(frozen=True)
class Mesh:
    """The mesh under test: one connection a Locust process, as a backend would have.

    Attributes:
        items: ids of its catalogue.
    """

    catalog: CatalogServiceStub
    event: EventServiceStub
    recommendation: RecommendationServiceStub
    items: tuple[str, ...]


_meshes: dict[str, Mesh] = {}
_connecting = threading.Lock()


def connect(address: str) -> Mesh:
    """Return the mesh at an address; the first caller of a process connects and reads the catalogue."""
    address = address.removeprefix("http://").removeprefix("grpc://").rstrip("/")
    with _connecting:
        if address not in _meshes:
            channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
            catalog = CatalogServiceStub(channel)
            page = catalog.ListItems(catalog_pb.ListItemsRequest(page_size=_ITEMS), timeout=_SECONDS)
            items = tuple(item.item_id for item in page.items) or ("no-item",)
            _meshes[address] = Mesh(catalog, EventServiceStub(channel), RecommendationServiceStub(channel), items)
        return _meshes[address]


def call(environment: Environment, name: str, method: Any, request: Any, seconds: float) -> Any:
    """Send a request and report it to Locust; return the answer, or None when it failed.

    Args:
        environment: of the user.
        name: what the statistics call it.
        method: method of a stub.
        request: its request.
        seconds: deadline.
    """
    start = time.perf_counter()
    answer, problem, size = None, None, 0
    try:
        answer = method(request, timeout=seconds)
        size = answer.ByteSize()
        if getattr(answer, "degraded", False):
            problem = Refused("OK, but degraded")
    except grpc.RpcError as error:
        failure = error_from(error)
        problem = Refused(f"{failure.code.name} {failure.reason}".strip())
    environment.events.request.fire(  # type: ignore[no-untyped-call]  # locust has no types for it
        request_type="gRPC",
        name=name,
        response_time=(time.perf_counter() - start) * 1000,
        response_length=size,
        exception=problem,
        context={},
    )
    return answer


def unique(prefix: str) -> str:
    """Return an id that nobody else uses."""
    return f"{prefix}-{uuid.uuid4().hex}"


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust has no types for it
def _set_exit_code(environment: Environment, **_: Any) -> None:
    """Fail a run in which nothing succeeded, so that a pipeline notices an absent mesh."""
    total = environment.stats.total
    if total.num_requests in {0, total.num_failures}:
        environment.process_exit_code = 1
