"""A Kubernetes API server on loopback: real HTTP, objects that the client's own strict models accept, faults on demand.

It keeps versions, watches, pages, conflicts and Status answers as the real one does; it has no controllers: a test says
what they do.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.support.kubernetes_models import check_shape
from tests.support.kubernetes_port_forward import forward

Object = dict[str, Any]
TOKEN = "a-token"
_PATH = re.compile(
    r"(?P<root>/api/v1|/apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<below>[a-z]+))?"
)
_UNKNOWN = ("/apis/cert-manager.io/", "/apis/metrics.k8s.io/")
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


class Place(NamedTuple):
    """What a path names."""

    root: str
    group: str
    namespace: str
    resource: str
    name: str
    below: str


@dataclass
class Fault:
    """An answer instead of the right one, so many times, for requests that contain these words."""

    words: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    drops: bool = False  # closes the connection without any answer


@dataclass
class _Event:
    version: int
    place: Place
    kind: str
    found: Object


class FakeCluster:
    """The objects of a cluster, and what goes wrong in it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.objects: dict[Place, Object] = {}
        self.events: list[_Event] = []
        self.requests: list[tuple[str, str]] = []
        self.times: list[float] = []
        self.faults: list[Fault] = []
        self.denied: set[tuple[str, str]] = set()
        self.answers: dict[str, Object] = {}  # of paths that are no objects of its own
        self.ports: dict[tuple[str, int], int] = {}
        self.logs: dict[str, list[str]] = {}
        self.ended_logs: set[str] = set()
        self.version = {"major": "1", "minor": "34", "gitVersion": "v1.34.2"}
        self.oldest_version = 0
        self.dropped_watches = 0
        self.page_size = 500
        self.token = TOKEN
        self.after: Callable[[str, Place, Object], None] = lambda verb, place, found: None
        self.links: list[Callable[[], None]] = []
        self._versions = itertools.count(100)
        self.now = next(self._versions)

    # --- what a test does ----------------------------------------------------------------------------

    def put(self, path: str, found: Object) -> Object:
        """Store an object in a collection, new or changed, and tell the watchers."""
        check_shape(found)
        place = place_of(f"{path}/{found['metadata']['name']}")
        with self.changed:
            known = place in self.objects
            stored = copy.deepcopy(found)
            stored["metadata"].setdefault("uid", f"uid-{found['metadata']['name']}")
            stored["metadata"].setdefault("creationTimestamp", "2026-11-01T08:00:00Z")
            if place.namespace:
                stored["metadata"].setdefault("namespace", place.namespace)
            self._store(place, stored, "MODIFIED" if known else "ADDED")
            return stored

    def remove(self, path: str) -> None:
        """Delete an object and tell the watchers."""
        with self.changed:
            place = place_of(path)
            gone = self.objects.pop(place)
            self._tell(place, "DELETED", gone)

    def get(self, path: str) -> Object:
        """Return a stored object."""
        return copy.deepcopy(self.objects[place_of(path)])

    def expire_versions(self) -> None:
        """Forget all changes so far: watches from before get 410 Gone."""
        with self.changed:
            self.now = next(self._versions)
            self.oldest_version = self.now
            self.changed.notify_all()

    def drop_watches(self) -> None:
        """Break the connections of all watches and followed logs."""
        with self.changed:
            self.dropped_watches += 1
            self.changed.notify_all()

    def break_links(self) -> None:
        """Break all forwarded connections, as when a pod is killed."""
        links, self.links = self.links, []
        for close in links:
            close()

    def say(self, pod: str, *lines: str) -> None:
        """Write lines into a pod's log, each with its time in front."""
        with self.changed:
            self.logs.setdefault(pod, []).extend(lines)
            self.changed.notify_all()

    def end_log(self, pod: str) -> None:
        """End the log of a pod's container."""
        with self.changed:
            self.ended_logs.add(pod)
            self.changed.notify_all()

    def count(self, method: str, words: str) -> int:
        """Return how many requests of a method contain these words."""
        return sum(1 for verb, path in self.requests if verb == method and words in path)

    # --- what the server does ------------------------------------------------------------------------

    def list(self, place: Place, query: dict[str, str]) -> list[Object]:
        """Return the objects of a collection, of all namespaces when the path names none."""
        return [
            copy.deepcopy(found)
            for key, found in sorted(self.objects.items())
            if _in_collection(key, place) and selected(found, query)
        ]

    def change(self, place: Place, patch: Object) -> Object:
        """Merge a patch into an object."""
        stored = copy.deepcopy(self.objects[place])
        _merge(stored, patch)
        check_shape(stored)
        self._store(place, stored, "MODIFIED")
        return stored

    def _store(self, place: Place, found: Object, kind: str) -> None:
        self.now = next(self._versions)
        found["metadata"]["resourceVersion"] = str(self.now)
        self.objects[place] = found
        self._tell(place, kind, found)

    def _tell(self, place: Place, kind: str, found: Object) -> None:
        if kind == "DELETED":
            self.now = next(self._versions)
            found["metadata"]["resourceVersion"] = str(self.now)
        self.events.append(_Event(self.now, place, kind, copy.deepcopy(found)))
        self.changed.notify_all()


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[str]:
    """Serve a cluster on a free port of this machine; yields its address."""

    class Handler(_Handler):
        pass

    Handler.cluster = cluster
    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        cluster.drop_watches()
        cluster.break_links()
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(path: Path, address: str, *, namespace: str = "media", token: str = TOKEN) -> None:
    """Write a kubeconfig with the contexts "fake" (current) and "other"."""
    cluster = {"name": "c", "cluster": {"server": address}}
    contexts = [
        {"name": name, "context": {"cluster": "c", "user": "u", "namespace": where}}
        for name, where in (("fake", namespace), ("other", "elsewhere"))
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": contexts,
        "current-context": "fake",
    }
    path.write_text(json.dumps(config))


def place_of(path: str) -> Place:
    """Take a path apart."""
    found = _PATH.fullmatch(path)
    assert found is not None, path
    return Place(*(found[name] or "" for name in Place._fields))


def selected(found: Object, query: dict[str, str]) -> bool:
    """Tell whether an object passes the selectors of a query."""
    labels = found["metadata"].get("labels") or {}
    for clause in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = clause.partition("=")
        if labels.get(key) != value:
            return False
    for clause in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = clause.partition("=")
        assert key == "metadata.name", "the only field that this server knows"
        if found["metadata"]["name"] != value:
            return False
    return True


def _in_collection(key: Place, place: Place) -> bool:
    return key.root == place.root and key.resource == place.resource and place.namespace in ("", key.namespace)


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the other side broke."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: FakeCluster

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Be quiet."""

    def _serve(self, method: str) -> None:
        cluster = self.cluster
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        cluster.requests.append((method, self.path))
        cluster.times.append(time.monotonic())
        for fault in cluster.faults:
            if fault.times and fault.method == method and fault.words in self.path:
                fault.times -= 1
                if fault.drops:
                    self.close_connection = True
                    return
                self._refuse(fault.status, "Fault", "as the test wanted", fault.headers)
                return
        if self.headers.get("Authorization") != f"Bearer {cluster.token}":
            self._refuse(401, "Unauthorized", "Unauthorized")
        elif url.path == "/version":
            self._answer(200, cluster.version)
        elif url.path in cluster.answers:
            self._answer(200, cluster.answers[url.path])
        elif not _PATH.fullmatch(url.path) or url.path.startswith(_UNKNOWN):
            self._refuse(404, "NotFound", "the server could not find the requested resource")
        else:
            self._resource(method, place_of(url.path), query, body)

    def _resource(self, method: str, place: Place, query: dict[str, str], body: Object) -> None:
        cluster = self.cluster
        verb = _VERBS.get(method) or ("watch" if "watch" in query else "get" if place.name else "list")
        resource = f"{place.resource}/{place.below}" if place.below else place.resource
        if place.resource == "selfsubjectaccessreviews":
            self._review(body)
        elif (verb, resource) in cluster.denied:
            self._refuse(
                403,
                "Forbidden",
                f'{resource} is forbidden: User "u" cannot {verb} resource "{resource}" in API group "{place.group}" '
                f'in the namespace "{place.namespace}"',
            )
        elif verb == "watch":
            self._watch(place, query)
        elif verb == "list":
            self._list(place, query)
        elif verb == "create":
            self._create(place, body)
        elif place._replace(below="") not in cluster.objects:
            self._refuse(404, "NotFound", f'{place.resource} "{place.name}" not found')
        elif place.below == "log":
            self._log(place.name, query)
        elif place.below == "portforward":
            forward(self, cluster, place.name, int(query["ports"]))
        elif place.below == "scale":
            self._scale(verb, place._replace(below=""), body)
        elif verb == "delete":
            cluster.remove(self.path.partition("?")[0])
            self._answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        else:
            self._answer(200, cluster.objects[place])

    def _review(self, body: Object) -> None:
        check_shape(body)
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        allowed = (asked["verb"], resource) not in self.cluster.denied
        self._answer(201, {**body, "status": {"allowed": allowed}})

    def _list(self, place: Place, query: dict[str, str]) -> None:
        cluster = self.cluster
        with cluster.changed:
            found, version = cluster.list(place, query), cluster.now
        start, size = int(query.get("continue", "0")), min(int(query.get("limit", "500")), cluster.page_size)
        metadata = {"resourceVersion": str(version)}
        if start + size < len(found):
            metadata["continue"] = str(start + size)
        self._answer(
            200, {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start : start + size]}
        )

    def _create(self, place: Place, body: Object) -> None:
        cluster = self.cluster
        check_shape(body)
        path = self.path.partition("?")[0]
        if place._replace(name=body["metadata"]["name"]) in cluster.objects:
            self._refuse(409, "AlreadyExists", f'{place.resource} "{body["metadata"]["name"]}" already exists')
            return
        stored = cluster.put(path, body)
        self._answer(201, stored)
        cluster.after("create", place, stored)

    def _scale(self, verb: str, place: Place, body: Object) -> None:
        cluster = self.cluster
        with cluster.changed:
            stored = cluster.objects[place]
            if verb == "patch":
                expected = (body.get("metadata") or {}).get("resourceVersion")
                if expected is not None and expected != stored["metadata"]["resourceVersion"]:
                    self._refuse(409, "Conflict", "the object has been modified; please apply your changes to it")
                    return
                stored = cluster.change(place, {"spec": {"replicas": body["spec"]["replicas"]}})
        scale = {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {key: stored["metadata"][key] for key in ("name", "namespace", "resourceVersion")},
            "spec": {"replicas": stored["spec"]["replicas"]},
            "status": {"replicas": stored["status"].get("replicas", 0)},
        }
        check_shape(scale)
        self._answer(200, scale)
        if verb == "patch":
            cluster.after("scale", place, stored)

    # --- answers that go on --------------------------------------------------------------------------

    def _watch(self, place: Place, query: dict[str, str]) -> None:
        cluster = self.cluster
        version, end = int(query["resourceVersion"]), time.monotonic() + float(query["timeoutSeconds"])
        drops = cluster.dropped_watches
        self._begin()
        while time.monotonic() < end:
            with cluster.changed:
                if version < cluster.oldest_version:
                    gone = _status(410, "Expired", f"too old resource version: {version}")
                    self._chunk(json.dumps({"type": "ERROR", "object": gone}) + "\n")
                    break
                if cluster.dropped_watches > drops:
                    self.close_connection = True
                    return
                found = [one for one in cluster.events if one.version > version and _in_collection(one.place, place)]
                if not found:
                    cluster.changed.wait(max(0.0, end - time.monotonic()))
                    continue
            for one in found:
                version = one.version
                if selected(one.found, query):
                    self._chunk(json.dumps({"type": one.kind, "object": one.found}) + "\n")
        else:
            bookmark = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(cluster.now)}}
            self._chunk(json.dumps({"type": "BOOKMARK", "object": bookmark}) + "\n")
        self._chunk("")

    def _log(self, pod: str, query: dict[str, str]) -> None:
        cluster = self.cluster
        drops, told = cluster.dropped_watches, 0
        self._begin()
        if "tailLines" in query:
            told = max(0, len(cluster.logs.get(pod, [])) - int(query["tailLines"]))
        while True:
            with cluster.changed:
                lines = cluster.logs.get(pod, [])[told:]
                if not lines:
                    if "follow" not in query or pod in cluster.ended_logs:
                        break
                    if cluster.dropped_watches > drops:
                        self.close_connection = True
                        return
                    cluster.changed.wait(1.0)
                    continue
            told += len(lines)
            for line in lines:
                if line[:19] >= query.get("sinceTime", "")[:19]:
                    self._chunk(line + "\n")
        self._chunk("")

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, text: str) -> None:
        content = text.encode()
        try:
            self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def _answer(self, status: int, body: Object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, reason: str, message: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, _status(status, reason, message), headers)


def _status(code: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
