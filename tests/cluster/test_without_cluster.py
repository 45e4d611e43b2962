"""What the tests on a cluster are made of, where there is none: their values, their pods, their load, their eyes."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from deploy.chart.tools import ToolMissing, find
from marquee_client import MarqueeClient
from services.cli.cluster.api import connect
from services.cli.cluster.options import Where
from services.cli.cluster.release import find_release
from services.cli.ports import free_ports
from tests.cluster.cluster import Cluster, objects_left
from tests.cluster.database import start_postgresql
from tests.cluster.helm import Helm
from tests.cluster.load_pod import PROGRAM, LoadReport, load_pod, read_report
from tests.cluster.merging import merged
from tests.cluster.mesh import TOKEN_KEYS
from tests.cluster.preparation import ImageMissing, bring_images, check_images, image_pods
from tests.cluster.settings import ClusterTestSettings
from tests.cluster.small_catalogue import fill
from tests.support import kubernetes_objects as objects
from tests.support.kubernetes_api import FakeCluster, Fault, Place, serving, write_kubeconfig
from tests.support.processes import ServiceProcess, service_process

NAMESPACE = objects.NAMESPACE
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    """The chart with the values of the tests."""
    try:
        find("helm")
    except ToolMissing as error:
        pytest.skip(str(error))
    return Helm("marquee", NAMESPACE, ClusterTestSettings().image_values()).render()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that stores objects, and a kubeconfig that leads there."""
    fake = FakeCluster()
    with serving(fake) as address:
        write_kubeconfig(tmp_path / "kubeconfig", address)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield fake


@pytest.fixture
def cluster(fake: FakeCluster) -> Cluster:
    """The tests' own look at it."""
    return Cluster(connect(), patience=20.0)


def not_restricted(spec: dict[str, Any]) -> list[str]:
    """Return what the restricted profile of Pod Security would refuse in the specification of a pod."""
    wrong = []
    of_pod = spec.get("securityContext", {})
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        wrong += ["allowPrivilegeEscalation"] if own.get("allowPrivilegeEscalation") is not False else []
        wrong += ["capabilities"] if "ALL" not in own.get("capabilities", {}).get("drop", []) else []
        wrong += ["runAsNonRoot"] if own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True else []
        profile = own.get("seccompProfile", of_pod.get("seccompProfile", {}))
        wrong += ["seccompProfile"] if profile.get("type") not in ("RuntimeDefault", "Localhost") else []
    allowed = {"name", "configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}
    wrong += [str(volume) for volume in spec.get("volumes", []) if not allowed >= set(volume)]
    wrong += [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return wrong


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tokenKeys": {"existingSecret": TOKEN_KEYS}, "classical": {"replicas": 2}},
        {
            "store": {"type": "postgresql", "postgresql": {"existingSecret": "database"}},
            "orchestrator": {"replicas": 2},
        },
    ],
)
def test_the_values_fit_the_chart(rendered: list[dict[str, Any]], more: dict[str, Any]) -> None:
    settings = ClusterTestSettings(tag="x", pull_secret="default/pull", storage_class="fast")
    values = merged(settings.image_values(), settings.storage_values(), more)

    found = Helm("marquee", NAMESPACE, values).render()

    pods = [one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment"]
    assert len(pods) == 4
    assert all(pod["imagePullSecrets"] == [{"name": "pull"}] for pod in pods)
    assert {image.rpartition(":")[2] for image in image_pods(found)} == {"x"}
    claims = [one["spec"]["storageClassName"] for one in found if one["kind"] == "PersistentVolumeClaim"]
    assert set(claims) == {"fast"}


def test_they_ask_for_little(rendered: list[dict[str, Any]]) -> None:
    requests = [
        one["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
        for one in rendered
        if one["kind"] == "Deployment"
    ]
    assert sum(int(one["cpu"].removesuffix("m")) for one in requests) <= 500
    assert sum(int(one["memory"].removesuffix("Mi")) for one in requests) <= 1024


def test_the_load_is_a_caller_and_no_part_of_the_mesh(rendered: list[dict[str, Any]]) -> None:
    test_pod = next(one for one in rendered if one["kind"] == "Pod")

    made = load_pod(test_pod, NAMESPACE, {"LOAD_RATE": "5"})

    assert made["metadata"]["labels"] == {"app.kubernetes.io/name": "marquee-load"}
    assert not_restricted(made["spec"]) == []
    container = made["spec"]["containers"][0]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert variables["MARQUEE_TARGET"] == f"dns:///marquee-orchestrator.{NAMESPACE}.svc.cluster.local:50060"
    assert variables["LOAD_RATE"] == "5"
    assert test_pod["spec"]["containers"][0]["command"] == ["python", "-c"], "the given pod has changed"


def test_pods_that_the_tests_start_pass_the_restricted_profile(
    fake: FakeCluster, cluster: Cluster, rendered: list[dict[str, Any]]
) -> None:
    started: list[dict[str, Any]] = []

    def run(_verb: str, place: Place, found: dict[str, Any]) -> None:
        if place.resource == "pods":
            started.append(found)
            ready = [{"type": "Ready", "status": "True"}]
            fake.put(_PODS, {**found, "status": {"phase": "Succeeded", "conditions": ready}})

    fake.after = run

    check_images(cluster, NAMESPACE, rendered)
    store = start_postgresql(cluster, NAMESPACE, ClusterTestSettings())

    images = {pod["spec"]["containers"][0]["image"] for pod in started}
    assert {image.rpartition("/")[2].partition(":")[0] for image in images} == {
        *(f"marquee-{name}" for name in ("orchestrator", "text", "vision", "classical", "trainer")),
        "postgres",
    }
    assert [not_restricted(pod["spec"]) for pod in started] == [[]] * len(started)
    assert store["postgresql"]["existingSecret"]


def test_an_image_that_no_node_has_is_named(
    fake: FakeCluster, cluster: Cluster, rendered: list[dict[str, Any]]
) -> None:
    cluster.patience = 0.1

    with pytest.raises(
        ImageMissing, match=r"(?s)cannot start localhost/marquee/marquee-.*MARQUEE_CLUSTER_LOAD_COMMAND"
    ):
        check_images(cluster, NAMESPACE, rendered)


def test_local_images_are_brought_to_the_nodes(rendered: list[dict[str, Any]], tmp_path: Path) -> None:
    bring_images(f"echo {{image}} >> {tmp_path / 'brought'}", rendered)

    assert len((tmp_path / "brought").read_text().splitlines()) == 5
    with pytest.raises(ImageMissing, match="no such cluster"):
        bring_images("echo no such cluster >&2; false", rendered)


def test_an_eviction_that_the_budget_refuses_is_seen_as_such(fake: FakeCluster, cluster: Cluster) -> None:
    objects.fill(fake)
    pod = fake.get(f"{_PODS}/marquee-classical-0")
    fake.faults.append(Fault("/eviction", HTTPStatus.TOO_MANY_REQUESTS, times=100, method="POST"))

    assert cluster.evict(pod) == HTTPStatus.TOO_MANY_REQUESTS


def test_each_pods_calls_are_counted_from_its_own_page(fake: FakeCluster, cluster: Cluster) -> None:
    objects.fill(fake, replicas=2)
    method = "/marquee.classical.v1.ClassicalService/Rank"
    page = (
        f'marquee_rpc_duration_seconds_count{{code="OK",method="{method}"}} 7.0\n'
        f'marquee_rpc_duration_seconds_count{{code="INTERNAL",method="{method}"}} 1.0\n'
        'marquee_rpc_duration_seconds_count{code="OK",method="/grpc.health.v1.Health/Check"} 90.0\n'
    )

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    names = ("marquee-classical-0", "marquee-classical-1")
    fake.ports |= {(name, 9464): server.server_port for name in names}

    counted = cluster.served_calls(find_release(cluster.api, Where(namespace=NAMESPACE)), "classical")

    server.shutdown()
    server.server_close()
    assert counted == dict.fromkeys(names, 8.0)


def test_what_an_uninstall_leaves_is_found_in_every_kind(fake: FakeCluster, cluster: Cluster) -> None:
    objects.fill(fake)
    fake.answers |= {
        "/api/v1": {
            "resources": [resource("pods", "Pod"), resource("services", "Service"), resource("nodes", "Node", False)]
        },
        "/apis": {"groups": [{"preferredVersion": {"groupVersion": "apps/v1"}}]},
        "/apis/apps/v1": {"resources": [resource("deployments", "Deployment"), resource("deployments/scale", "Scale")]},
    }

    left = objects_left(cluster.api, NAMESPACE, "app.kubernetes.io/instance=marquee")

    assert "Pod marquee-text-0" in left
    assert "Deployment marquee-vision" in left
    assert objects_left(cluster.api, NAMESPACE, "app.kubernetes.io/instance=other") == []


def resource(name: str, kind: str, namespaced: bool = True) -> dict[str, Any]:
    """An entry of the API's list of what it knows."""
    return {"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["get", "list"]}


async def test_the_load_counts_what_a_restart_costs(tmp_path: Path) -> None:
    """One orchestrator, alone, is stopped and started again: its callers wait, and no acknowledged event is lost."""
    port = free_ports("127.0.0.1", 1)[0]
    options = {"port": port, "store_url": f"sqlite:///{tmp_path / 'store.sqlite'}", "drain_seconds": 5}
    target, log = f"127.0.0.1:{port}", tmp_path / "log"
    variables = {"LOAD_RATE": "20", "LOAD_METHODS": "recommend,write_events", "LOAD_DEADLINE_SECONDS": "5"}
    environment = {**os.environ, "MARQUEE_TARGET": target, **variables}

    async def acknowledged(least: int) -> int:
        async with asyncio.timeout(60):
            while "acknowledged" not in log.read_text() or read_report(log.read_text()).acknowledged < least:
                await asyncio.sleep(0.2)
        return read_report(log.read_text()).acknowledged

    async with service_process("orchestrator", **options) as first:
        await first.event("serving")
        with MarqueeClient(target) as client:
            await asyncio.to_thread(fill, client)
        with log.open("w") as output:
            load = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM.read_text(), env=environment, stdout=output
            )
        before = await acknowledged(10)
        await _end(first)
    async with service_process("orchestrator", **options) as second:
        await second.event("serving")
        await acknowledged(before + 20)
        load.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(load.wait(), 30) == 0
        report = read_report(log.read_text())
        with MarqueeClient(target) as client:
            stored = await asyncio.to_thread(lambda: len(list(client.list_user_events(report.writer))))

    assert report.done
    assert report.in_flight == 0
    assert report.longest_gap_seconds > 0.05
    assert stored >= report.acknowledged > before


async def _end(process: ServiceProcess) -> None:
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0


def test_a_log_without_a_report_is_shown() -> None:
    with pytest.raises(AssertionError, match="no module named marquee_client"):
        read_report("no module named marquee_client")
    assert read_report(json.dumps({"seconds": 1.5, "calls": {"recommend": 2}, "examples": []})) == LoadReport(
        1.5, {"recommend": 2}
    )
