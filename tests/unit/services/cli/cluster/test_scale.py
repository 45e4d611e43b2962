from __future__ import annotations

import threading
from typing import Any

from tests.support import kubernetes_api
from tests.support.kubernetes_api import FakeCluster, Object, Place
from tests.support.kubernetes_objects import deployment, fill, labels, pod
from tests.unit.services.cli.conftest import Run

DEPLOYMENTS = "/apis/apps/v1/namespaces/media/deployments"
PODS = "/api/v1/namespaces/media/pods"
URL = "MARQUEE_ORCHESTRATOR_STORE_URL"


def roll_out(cluster: FakeCluster, count: int, ready: int) -> None:
    """Do what the Deployment controller does."""
    for number in range(1, count):
        cluster.put(PODS, pod("text", number, ready=number < ready))
    cluster.put(DEPLOYMENTS, deployment("text", count, ready=ready, generation=2))


def on_scale(cluster: FakeCluster, *steps: tuple[int, int]) -> None:
    def after(verb: str, place: Place, found: Object) -> None:
        if verb == "scale":
            for delay, (count, ready) in enumerate(steps):
                threading.Timer(0.2 * (delay + 1), roll_out, (cluster, count, ready)).start()

    cluster.after = after


def autoscaler(target: str) -> Object:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": target, "labels": labels("text")},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 2,
            "maxReplicas": 6,
        },
    }


def test_it_waits_until_all_pods_are_ready(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    on_scale(cluster, (3, 1), (3, 3))
    result = run("cluster", "scale", "text", "3")
    assert result.exit_code == 0, result.output
    assert "text: 1 → 3 pods" in result.output
    assert "3 of 3" in result.output
    assert cluster.get(f"{DEPLOYMENTS}/marquee-text")["spec"]["replicas"] == 3


def test_an_autoscaler_owns_the_count(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    cluster.put("/apis/autoscaling/v2/namespaces/media/horizontalpodautoscalers", autoscaler("marquee-text"))
    result = run("cluster", "scale", "text", "3")
    assert result.exit_code == 2
    assert "the autoscaler marquee-text sets how many pods text has (2 to 6)" in result.output
    assert "--set text.autoscaling.minReplicas=2" in " ".join(result.output.split())
    assert cluster.count("PATCH", "/scale") == 0


def test_one_pod_only_may_write_to_sqlite(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    environment = {URL: "sqlite:////var/lib/marquee/marquee.sqlite"}
    cluster.put(DEPLOYMENTS, deployment("orchestrator", environment=environment))
    assert "SQLite, which one pod only may write to" in run("cluster", "scale", "orchestrator", "2").output
    found = deployment("orchestrator")
    reference = {"secretKeyRef": {"name": "store", "key": "url"}}
    found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": URL, "valueFrom": reference}]
    cluster.put(DEPLOYMENTS, found)
    assert run("cluster", "scale", "orchestrator", "2", "--no-wait").exit_code == 0  # PostgreSQL, from a Secret


def test_whoever_changes_it_at_the_same_time_is_not_overwritten(
    cluster: FakeCluster, run: Run, monkeypatch: Any
) -> None:
    fill(cluster)
    path = f"{DEPLOYMENTS}/marquee-text/scale"
    meddled: list[Object] = []
    change = cluster.change

    serve = kubernetes_api._Handler._scale

    def meddle(handler: Any, verb: str, place: Place, body: Object) -> None:
        if verb == "patch" and len(meddled) < 2:
            meddled.append(body)
            with cluster.changed:
                change(place, {"metadata": {"annotations": {"changed": str(len(meddled))}}})
        serve(handler, verb, place, body)

    monkeypatch.setattr(kubernetes_api._Handler, "_scale", meddle)
    assert run("cluster", "scale", "text", "2", "--no-wait").exit_code == 0
    assert cluster.count("PATCH", path) == 3
    assert cluster.count("GET", path) == 3  # a fresh object before each try
    stored = cluster.get(f"{DEPLOYMENTS}/marquee-text")
    assert stored["spec"]["replicas"] == 2
    assert stored["metadata"]["annotations"] == {"changed": "2"}


def test_pods_that_cannot_start_say_why(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}
    cluster.put(PODS, pod("text", 1, ready=False, state=waiting))
    result = run("cluster", "scale", "text", "2", "--timeout", "1")
    assert result.exit_code == 1
    assert "not all pods of text are ready" in result.output
    assert "marquee-text-1: ImagePullBackOff: no such tag" in result.output


def test_to_stop_a_component_is_asked(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    assert run("cluster", "scale", "text", "0", stdin="n\n").exit_code == 1
    assert cluster.count("PATCH", "/scale") == 0


def test_no_right_to_scale(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    cluster.denied = {("patch", "deployments/scale")}
    result = run("cluster", "scale", "text", "2")
    assert result.exit_code == 1
    assert "no right to patch deployments/scale (apps) in namespace media" in result.output
    assert 'resources: ["deployments/scale"]' in result.output
