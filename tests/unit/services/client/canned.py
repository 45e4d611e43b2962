"""A real gRPC server with canned answers, to test what travels over the wire and how failures are mapped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from marquee.entertainment.v1 import bundle_service_pb2 as bundle_pb
from marquee.entertainment.v1 import bundle_service_pb2_grpc as bundle_grpc
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import catalog_service_pb2_grpc as catalog_grpc
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import event_service_pb2_grpc as event_grpc
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import recommendation_service_pb2_grpc as recommendation_grpc
from marquee.entertainment.v1 import writing_service_pb2 as writing_pb
from marquee.entertainment.v1 import writing_service_pb2_grpc as writing_grpc
from services.runtime.errors import STATUS_DETAILS_KEY, ServiceError, status_details


@dataclass
class CannedServer:
    """What the server saw, and what it is told to answer.

    Attributes:
        calls: (method, request, metadata, seconds left) of every call.
        failures: errors to answer with, one a call, first first.
        delay_seconds: time before each answer.
        stop: ends the server early.
    """

    target: str = ""
    calls: list[tuple[str, Any, dict[str, str | bytes], float | None]] = field(default_factory=list)
    failures: list[ServiceError | grpc.StatusCode] = field(default_factory=list)
    delay_seconds: float = 0.0
    stop: Callable[[], object] = lambda: None

    def methods(self) -> list[str]:
        return [method for method, *_ in self.calls]

    def arrive(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        copied = type(request).FromString(request.SerializeToString())
        self.calls.append((method, copied, metadata, context.time_remaining()))
        time.sleep(self.delay_seconds)
        if not self.failures:
            return
        failure = self.failures.pop(0)
        if isinstance(failure, grpc.StatusCode):
            context.abort(failure, f"plain {failure.name}")
        context.set_trailing_metadata(
            (
                (STATUS_DETAILS_KEY, status_details(failure)),
                ("x-request-id", str(metadata.get("x-request-id", ""))),
            )
        )
        context.abort(failure.code, failure.message)


def _answer(canned: CannedServer, method: str, response: Any) -> Any:
    def serve(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        canned.arrive(method, request, context)
        return response(request) if callable(response) else response

    return serve


def _stream(canned: CannedServer, method: str, parts: list[Any]) -> Any:
    def serve(self: Any, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        canned.arrive(method, request, context)
        yield from parts

    return serve


def _item_page(request: catalog_pb.ListItemsRequest) -> catalog_pb.ListItemsResponse:
    start = int(request.page_token or 0)
    stop = min(start + (request.page_size or 2), 5)
    items = [catalog_pb.Item(item_id=str(number), title=f"Title {number}") for number in range(start, stop)]
    return catalog_pb.ListItemsResponse(items=items, next_page_token=str(stop) if stop < 5 else "", total_count=5)


def _event_page(request: event_pb.ListUserEventsRequest) -> event_pb.ListUserEventsResponse:
    start = int(request.page_token or 0)
    events = [event_pb.Event(event_id=str(start), user_id=request.user_id)]
    return event_pb.ListUserEventsResponse(events=events, next_page_token=str(start + 1) if start < 2 else "")


def _classes(canned: CannedServer) -> list[tuple[Any, Any]]:
    recommended = recommendation_pb.RecommendedItem(item_id="1", title="One")
    exported = [
        catalog_pb.ExportItemsResponse(items=[catalog_pb.ExportedItem(item=catalog_pb.Item(item_id=str(n)))])
        for n in range(3)
    ]
    events = [event_pb.ExportEventsResponse(events=[event_pb.ExportedEvent(sequence=n, user_id="u")]) for n in (1, 2)]
    answers: list[tuple[str, Any, dict[str, Any]]] = [
        (
            "Recommendation",
            recommendation_grpc,
            {
                "Recommend": recommendation_pb.RecommendResponse(items=[recommended], bundle_version="v1"),
                "SimilarItems": recommendation_pb.SimilarItemsResponse(items=[recommended]),
            },
        ),
        (
            "Catalog",
            catalog_grpc,
            {
                "UpsertItems": lambda request: catalog_pb.UpsertItemsResponse(created_count=len(request.items)),
                "GetItem": lambda request: catalog_pb.GetItemResponse(item=catalog_pb.Item(item_id=request.item_id)),
                "ListItems": _item_page,
                "DeleteItem": catalog_pb.DeleteItemResponse(),
                "ExportItems": exported,
            },
        ),
        (
            "Event",
            event_grpc,
            {
                "WriteEvents": lambda request: event_pb.WriteEventsResponse(written_count=len(request.events)),
                "ListUserEvents": _event_page,
                "ExportEvents": events,
            },
        ),
        (
            "Bundle",
            bundle_grpc,
            {
                "ActivateBundle": lambda request: bundle_pb.ActivateBundleResponse(version=request.version),
                "RollbackBundle": bundle_pb.RollbackBundleResponse(version="v1", previous_version="v2"),
                "GetServingBundle": bundle_pb.GetServingBundleResponse(version="v2", item_count=7),
            },
        ),
        (
            "Writing",
            writing_grpc,
            {
                "ExplainItem": writing_pb.ExplainItemResponse(bundle_version="v2"),
                "WriteBlurb": writing_pb.WriteBlurbResponse(variants=[writing_pb.WrittenText(text="A film.")]),
                "SummarizeReviews": lambda request: writing_pb.SummarizeReviewsResponse(
                    review_count=len(request.reviews)
                ),
                "GenerateText": [writing_pb.GenerateTextResponse(text=text) for text in ("Once", " upon")],
            },
        ),
    ]
    classes = []
    for name, module, methods in answers:
        body = {
            method: (_stream if isinstance(answer, list) else _answer)(canned, method, answer)
            for method, answer in methods.items()
        }
        base = getattr(module, f"{name}ServiceServicer")
        classes.append((type(name, (base,), body)(), getattr(module, f"add_{name}ServiceServicer_to_server")))
    return classes


@contextmanager
def running_server(port: int = 0, credentials: grpc.ServerCredentials | None = None) -> Iterator[CannedServer]:
    canned = CannedServer()
    running = grpc.server(futures.ThreadPoolExecutor(4))
    for servicer, add in _classes(canned):
        add(servicer, running)
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), running)
    address = f"127.0.0.1:{port}"
    port = running.add_secure_port(address, credentials) if credentials else running.add_insecure_port(address)
    canned.target = f"127.0.0.1:{port}"
    canned.stop = lambda: running.stop(0).wait()
    running.start()
    try:
        yield canned
    finally:
        canned.stop()
