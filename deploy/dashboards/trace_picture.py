"""Keeps the spans of a mesh, as a collector would, and draws one trace as a waterfall."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import matplotlib
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

matplotlib.use("Agg")
from matplotlib import pyplot  # the backend is chosen first

_COLOURS = {"orchestrator": "#3b6fb6", "text": "#2f7d46", "vision": "#8a4fbf", "classical": "#b25000"}
# What a bundle's scorers are called: they belong to the bundle, not to a model of the repository.
_UNNAMED = "unnamed"
_RECOMMEND = "RecommendationService/Recommend"


@dataclass(frozen=True)
class Span:
    """One span: whose it is, when it began and how long it took (in milliseconds), below which other."""

    service: str
    name: str
    identity: bytes
    parent: bytes
    begin: float
    milliseconds: float
    attributes: dict[str, Any]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans over OTLP on the loopback and keeps them by trace."""

    def __init__(self) -> None:
        self._traces: dict[bytes, list[Span]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        """For the setting `tracing_endpoint`."""
        self._server.start()

    def Export(self, request: Any, context: Any) -> Any:
        """Keep spans."""
        with self._lock:
            for resource in request.resource_spans:
                service = str(_attributes(resource.resource)["service.name"]).removeprefix("marquee-")
                for scope in resource.scope_spans:
                    for one in scope.spans:
                        begin, end = one.start_time_unix_nano / 1e6, one.end_time_unix_nano / 1e6
                        span = Span(
                            service, one.name, one.span_id, one.parent_span_id, begin, end - begin, _attributes(one)
                        )
                        self._traces[one.trace_id].append(span)
        return trace_service_pb2.ExportTraceServiceResponse()

    def stop(self) -> None:
        """Listen no more."""
        self._server.stop(None)

    def typical(self) -> tuple[list[Span], int]:
        """Return the trace of the `Recommend` that took as long as half of them, among those that reached every model
        service they needed, and of how many it is the middle.
        """
        with self._lock:
            found = [spans for spans in self._traces.values() if _is_whole(spans)]
        found.sort(key=lambda spans: _root(spans).milliseconds)
        return found[len(found) // 2], len(found)


def draw(spans: list[Span], title: str, path: Path) -> str:
    """Draw a trace into a PNG file, and return it as text."""
    root = _root(spans)
    ordered = _ordered(spans, root, 0)
    figure, axes = pyplot.subplots(figsize=(11, 0.34 * len(ordered) + 1.2), layout="constrained")
    lines = []
    for line, (span, depth) in enumerate(ordered):
        begin = span.begin - root.begin
        name = "  " * depth + span.name.rpartition("/")[2]
        axes.barh(
            -line, max(span.milliseconds, 0.02), left=begin, height=0.62, color=_COLOURS.get(span.service, "#888")
        )
        model = span.attributes.get("marquee.model")
        told = f"{name}  {span.milliseconds:.2f} ms" + (f"  ({model})" if model not in (None, _UNNAMED) else "")
        lines.append(
            f"{begin:7.2f} {span.milliseconds:7.2f}  {span.service:12s}  {told.partition(' ms')[0].rpartition('  ')[0]}"
        )
        axes.text(
            begin + max(span.milliseconds, 0.02) + root.milliseconds * 0.006, -line, told.strip(), va="center", size=8
        )
    axes.set_yticks([-line for line in range(len(ordered))], [span.service for span, _ in ordered], size=8)
    axes.set_xlim(0, root.milliseconds * 1.3)
    axes.set_xlabel("milliseconds since the orchestrator got the call")
    axes.set_title(title, size=10, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
    return "\n".join(["  begin    took  service       span", *lines])


def _attributes(message: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in message.attributes}


def _root(spans: list[Span]) -> Span:
    return next(span for span in spans if span.name.endswith(_RECOMMEND))


def _is_whole(spans: list[Span]) -> bool:
    known = {span.identity for span in spans}
    services = {span.service for span in spans}
    return (
        sum(span.name.endswith(_RECOMMEND) for span in spans) == 1
        and {"orchestrator", "classical", "text"} <= services
        and all(span.parent in known for span in spans if span.parent and not span.name.endswith(_RECOMMEND))
    )


def _ordered(spans: list[Span], parent: Span, depth: int) -> list[tuple[Span, int]]:
    children = sorted((one for one in spans if one.parent == parent.identity), key=lambda one: one.begin)
    return [(parent, depth), *(pair for child in children for pair in _ordered(spans, child, depth + 1))]
