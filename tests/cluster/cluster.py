"""The cluster that the tests run on, as far as they look at it and change it themselves."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from services.cli.cluster.api import ClusterApi
from services.cli.cluster.mesh import this_pod
from services.cli.cluster.options import Where
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import Release, find_release, is_ready, name_of, port_of
from services.cli.cluster.rollout import progress_of, waiting_for
from services.cli.cluster.tunnel import Tunnel

Object = dict[str, Any]

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
_FINISHED = ("Succeeded", "Failed")
_NOT_LISTED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.SERVICE_UNAVAILABLE)
_RPCS = "marquee_rpc_duration_seconds_count"


class Cluster:
    """A reachable cluster.

    Args:
        api: its API, as an administrator.
        patience: longest time to wait for anything, in seconds.
    """

    def __init__(self, api: ClusterApi, patience: float) -> None:
        self.api = api
        self.patience = patience

    def until(self, holds: Callable[[], bool], what: Callable[[], str] | str, seconds: float | None = None) -> float:
        """Wait until something holds; returns the seconds it took."""
        began = time.monotonic()
        while not holds():
            waited = time.monotonic() - began
            if waited > (seconds or self.patience):
                raise AssertionError(f"after {waited:.0f} s: {what if isinstance(what, str) else what()}")
            time.sleep(0.5)
        return time.monotonic() - began

    def make_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a namespace."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        self.api.create("/api/v1/namespaces", body)
        # Its default account comes a moment later, and no pod is accepted before.
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self.until(lambda: self.api.find(path) is not None, f"namespace {name} has no default ServiceAccount")

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with all that is in it, and wait until it is gone."""
        path = f"/api/v1/namespaces/{name}"
        if self.api.find(path) is not None:
            self.api.delete(path)
        self.until(lambda: self.api.find(path) is None, f"namespace {name} does not go away")

    def create(self, namespace: str, collection: str, body: Object, group: str = "") -> Object:
        """Create an object in a namespace."""
        return self.api.create(f"{_root(group)}/namespaces/{namespace}/{collection}", body)

    def release(self, namespace: str, name: str) -> Release:
        """Return a release, with its Deployments as they are now."""
        return find_release(self.api, Where(namespace=namespace, release=name))

    def run_pod(self, pod: Object) -> tuple[str, str]:
        """Run a pod until its end; returns its phase and its log, and deletes it."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self.create(namespace, "pods", pod)
        found: Object = {}

        def finished() -> bool:
            found.update(self.api.get(path))
            return (found.get("status") or {}).get("phase") in _FINISHED

        try:
            self.until(finished, lambda: f"pod {name} does not end: {json.dumps(found.get('status'))[:1500]}")
            return str(found["status"]["phase"]), self.log(namespace, name)
        finally:
            self.api.delete(path)
            self.until(lambda: self.api.find(path) is None, f"pod {name} does not go away")

    def log(self, namespace: str, name: str) -> str:
        """Return the log of a pod of one container; empty while it has none."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        try:
            with self.api.lines(path, {"tailLines": "200"}, 30.0) as lines:
                return "\n".join(line.decode(errors="replace") for line in lines)
        except Refused as error:
            if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):  # its container is being made
                return ""
            raise

    def restart(self, release: Release, component: str) -> None:
        """Start all pods of a component anew, as `kubectl rollout restart` does, without waiting."""
        path = f"{release.path('deployments', 'apps/v1')}/{name_of(release.deployment(component))}"
        stamp = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.api.patch(path, {"spec": {"template": {"metadata": {"annotations": stamp}}}})

    def scale(self, release: Release, component: str, count: int) -> None:
        """Set the number of pods of a component, without waiting."""
        path = f"{release.path('deployments', 'apps/v1')}/{name_of(release.deployment(component))}/scale"
        self.api.patch(path, {"spec": {"replicas": count}})

    def rolled_out(self, release: Release, component: str) -> float:
        """Wait until a component has its pods, all new and ready, and no others; returns the seconds."""
        path = f"{release.path('deployments', 'apps/v1')}/{name_of(release.deployment(component))}"
        return self.until(
            lambda: progress_of(self.api.get(path))[2],
            lambda: f"{component} is not rolled out: {'; '.join(waiting_for(release, component))}",
        )

    def ready_pods(self, release: Release, component: str) -> list[Object]:
        """Return the ready pods of a component that are not going away."""
        return [
            pod for pod in release.pods(component) if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")
        ]

    def evict(self, pod: Object) -> int:
        """Ask for the eviction of a pod, as `kubectl drain` does; returns the status code."""
        namespace, name = pod["metadata"]["namespace"], name_of(pod)
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        # The API of the commands waits and tries again after 429, which is the answer to be seen here.
        once = ClusterApi(self.api.configuration, namespace, self.api.context, sleep=lambda _: None)
        try:
            once.create(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)
        except Refused as error:
            return error.status
        return int(HTTPStatus.CREATED)

    def evictions_allowed(self, release: Release, component: str) -> int:
        """Return how many pods of a component may be evicted now, by its PodDisruptionBudget."""
        (budget,) = release.objects("poddisruptionbudgets", "policy/v1", component)
        return int((budget.get("status") or {}).get("disruptionsAllowed", 0))

    def served_calls(self, release: Release, component: str) -> dict[str, float]:
        """Return how many calls each ready pod of a component has served since it began, probes left out."""
        return {name_of(pod): self._calls(release, pod) for pod in self.ready_pods(release, component)}

    def _calls(self, release: Release, pod: Object) -> float:
        with Tunnel(self.api, this_pod(release, pod), port_of(pod, "metrics")) as tunnel:
            connection = http.client.HTTPConnection(tunnel.address, timeout=15)
            try:
                connection.request("GET", "/metrics", headers={"Connection": "close"})
                text = connection.getresponse().read().decode()
            finally:
                connection.close()
        counted = (line for line in text.splitlines() if line.startswith(_RPCS) and 'method="/grpc.' not in line)
        return sum(float(line.rsplit(" ", 1)[1]) for line in counted)


def objects_left(api: ClusterApi, namespace: str, selector: str) -> list[str]:
    """Return every object of a namespace that has these labels, of every kind that the cluster can list."""
    left = []
    for root in ("/api/v1", *_group_roots(api)):
        try:
            resources = api.get(root).get("resources", [])
        except Refused as error:
            if error.status == HTTPStatus.SERVICE_UNAVAILABLE:  # an aggregated API whose server is away
                continue
            raise
        for resource in resources:
            if not resource["namespaced"] or "list" not in resource["verbs"] or "/" in resource["name"]:
                continue
            if resource["name"] == "events":  # what happened stays known for an hour
                continue
            try:
                found = api.objects(f"{root}/namespaces/{namespace}/{resource['name']}", labelSelector=selector)
            except Refused as error:
                if error.status in _NOT_LISTED:
                    continue
                raise
            left += [f"{resource['kind']} {name_of(one)}" for one in found]
    return sorted(set(left))


def _group_roots(api: ClusterApi) -> list[str]:
    versions = [group["preferredVersion"]["groupVersion"] for group in api.get("/apis")["groups"]]
    # Figures of pods that are gone are no objects.
    return [f"/apis/{version}" for version in versions if not version.startswith("metrics.k8s.io/")]


def _root(group: str) -> str:
    return f"/apis/{group}" if group else "/api/v1"
