"""A mesh's services over real gRPC, whose answers a test decides: bundles, routes, lists, the arms' report, metrics."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.common.v1.model_repository_pb2_grpc import (
    ModelRepositoryServiceServicer,
    add_ModelRepositoryServiceServicer_to_server,
)
from marquee.entertainment.v1 import bundle_service_pb2 as bundle_pb
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import experiment_service_pb2 as experiment_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import route_service_pb2 as route_pb
from marquee.entertainment.v1.bundle_service_pb2_grpc import BundleServiceServicer, add_BundleServiceServicer_to_server
from marquee.entertainment.v1.catalog_service_pb2_grpc import (
    CatalogServiceServicer,
    add_CatalogServiceServicer_to_server,
)
from marquee.entertainment.v1.experiment_service_pb2_grpc import (
    ExperimentServiceServicer,
    add_ExperimentServiceServicer_to_server,
)
from marquee.entertainment.v1.recommendation_service_pb2_grpc import (
    RecommendationServiceServicer,
    add_RecommendationServiceServicer_to_server,
)
from marquee.entertainment.v1.route_service_pb2_grpc import RouteServiceServicer, add_RouteServiceServicer_to_server
from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import PORTS, RELEASE, fill

_MODELS = ("text", "vision", "classical")
_PATIENT = [("grpc.http2.max_ping_strikes", 0), ("grpc.http2.min_recv_ping_interval_without_data_ms", 100)]


@dataclass
class Script:
    """What the services know and do.

    Attributes:
        serving: version of the bundle that serves, and of the one before.
        loaded: bundles that the pods of each model service have.
        routes: by task.
        lists: real users' lists and followed ones, by arm.
        failing_every: of an arm, every so-many-th call fails; by arm.
        seconds: how long a call of an arm takes.
        sessions: items of each probe.
        pages: metrics page of each component.
    """

    serving: list[str] = field(default_factory=lambda: ["b1", "b0"])
    loaded: dict[str, list[str]] = field(default_factory=lambda: {name: ["b2", "b1", "b0"] for name in _MODELS})
    routes: dict[str, route_pb.Route] = field(default_factory=dict)
    lists: dict[str, tuple[int, int]] = field(default_factory=dict)
    failing_every: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    sessions: list[list[str]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)


class _Orchestrator(
    BundleServiceServicer,
    RouteServiceServicer,
    RecommendationServiceServicer,
    CatalogServiceServicer,
    ExperimentServiceServicer,
):
    def __init__(self, script: Script) -> None:
        self._script = script

    def GetServingBundle(self, request: Any, context: Any) -> Any:
        version, before = self._script.serving
        return bundle_pb.GetServingBundleResponse(version=version, previous_version=before, item_count=1682)

    def ActivateBundle(self, request: Any, context: Any) -> Any:
        if any(request.version not in versions for versions in self._script.loaded.values()):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no service has bundle {request.version}")
        before = self._script.serving[0]
        self._script.serving = [request.version, before]
        return bundle_pb.ActivateBundleResponse(version=request.version, previous_version=before)

    def RollbackBundle(self, request: Any, context: Any) -> Any:
        self._script.serving.reverse()
        version, before = self._script.serving
        return bundle_pb.RollbackBundleResponse(version=version, previous_version=before)

    def SetRoute(self, request: Any, context: Any) -> Any:
        self._script.routes[request.route.task] = request.route
        return route_pb.SetRouteResponse(route=request.route)

    def ListRoutes(self, request: Any, context: Any) -> Any:
        return route_pb.ListRoutesResponse(routes=self._script.routes.values())

    def DeleteRoute(self, request: Any, context: Any) -> Any:
        if self._script.routes.pop(request.task, None) is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such route")
        return route_pb.DeleteRouteResponse()

    def ListItems(self, request: Any, context: Any) -> Any:
        return catalog_pb.ListItemsResponse(items=[catalog_pb.Item(item_id=str(number)) for number in range(50)])

    def Recommend(self, request: Any, context: Any) -> Any:
        script, arm = self._script, request.arm
        script.calls[arm] = script.calls.get(arm, 0) + 1
        script.sessions.append(list(request.session_item_ids))
        time.sleep(script.seconds.get(arm, 0.0))
        every = script.failing_every.get(arm, 0)
        if every and script.calls[arm] % every == 0:
            context.abort(grpc.StatusCode.INTERNAL, "something is wrong")
        return recommendation_pb.RecommendResponse(arm=arm)

    def GetArmReport(self, request: Any, context: Any) -> Any:
        """Probes are lists too: a report of all surfaces counts them, one of theirs counts nothing else."""
        arms = []
        for arm in self._script.routes["recommend"].arms:
            probes = self._script.calls.get(arm.name, 0)
            lists, followed = (0, 0) if request.surface else self._script.lists.get(arm.name, (0, 0))
            arms.append(
                experiment_pb.ArmReport(
                    arm=arm.name, bundle_version=arm.version, list_count=lists + probes, followed_count=followed
                )
            )
        return experiment_pb.GetArmReportResponse(arms=arms)


class _Models(ModelRepositoryServiceServicer):
    def __init__(self, script: Script, component: str) -> None:
        self._script = script
        self._component = component

    def ListModels(self, request: Any, context: Any) -> Any:
        ready = repository_pb.MODEL_STATE_READY
        model = repository_pb.ModelStatus(name=f"{self._component}-model", version="3", task="a-task", state=ready)
        return repository_pb.ListModelsResponse(models=[model])

    def ListBundles(self, request: Any, context: Any) -> Any:
        versions = self._script.loaded[self._component]
        bundles = [repository_pb.Bundle(version=version, scorers=["markov"], item_count=1682) for version in versions]
        return repository_pb.ListBundlesResponse(bundles=bundles)


@contextmanager
def scripted_mesh(cluster: FakeCluster, script: Script) -> Iterator[None]:
    """Put a mesh into a fake cluster whose pods' ports lead to the scripted services."""
    fill(cluster)
    with ExitStack() as stack:
        for component, port in PORTS.items():
            pod = f"{RELEASE}-{component}-0"
            grpc_port = stack.enter_context(_grpc_server(script, component))
            cluster.ports[pod, port] = cluster.ports[pod, 50070] = grpc_port
            cluster.ports[pod, 9464] = stack.enter_context(_metrics_server(script, component))
        yield


@contextmanager
def _grpc_server(script: Script, component: str) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(8), options=_PATIENT)
    if component == "orchestrator":
        services = _Orchestrator(script)  # type: ignore[abstract]  # the rest is UNIMPLEMENTED
        for add in (
            add_BundleServiceServicer_to_server,
            add_RouteServiceServicer_to_server,
            add_RecommendationServiceServicer_to_server,
            add_CatalogServiceServicer_to_server,
            add_ExperimentServiceServicer_to_server,
        ):
            add(services, server)
    else:
        add_ModelRepositoryServiceServicer_to_server(_Models(script, component), server)  # type: ignore[abstract]
    state = health.HealthServicer()
    state.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


@contextmanager
def _metrics_server(script: Script, component: str) -> Iterator[int]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = script.pages.get(component, "").encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Be quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()
