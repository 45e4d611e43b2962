"""The Kubernetes API with the user's own kubeconfig.

Objects are read as plain JSON: the client's typed models refuse a field that they do not know, so that a newer server
would break every command. What is written goes through the typed models, in the tests.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from services.cli.cluster.refusals import Access, Refused, Unreachable, access_of, refusal
from services.cli.failures import EXIT_FAILED, EXIT_WRONG_INPUT, CommandFailed

Object = dict[str, Any]

_TRIES = 6
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_PAGE_SIZE = 500
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CONTENT_TYPES = {"POST": "application/json", "PATCH": "application/merge-patch+json"}


class ClusterApi:
    """Calls one API server; threads may share it.

    Reads are tried again after 429 and 5xx answers and broken connections, for as long as the server's `Retry-After`
    asks, with growing pauses otherwise. Writes are tried again only where the server says that it did nothing.

    Args:
        configuration: the client's configuration: host, certificates, credentials.
        namespace: namespace of the mesh.
        context: name of the kubeconfig's context; empty inside a cluster.
        sleep: waits for so many seconds.
    """

    def __init__(
        self, configuration: Any, namespace: str, context: str = "", sleep: Callable[[float], None] = time.sleep
    ) -> None:
        from kubernetes import client

        configuration.retries = False  # each failure once, here
        self.configuration = configuration
        self.namespace = namespace
        self.context = context
        self._client = client.ApiClient(configuration)
        self._sleep = sleep

    @property
    def host(self) -> str:
        """Address of the API server."""
        return str(self.configuration.host)

    def get(self, path: str, **query: str) -> Object:
        """Read one object, or whatever else the path answers."""
        answer: Object = json.loads(self._answer("GET", path, query))
        return answer

    def objects(self, path: str, **query: str) -> list[Object]:
        """Read all objects of a collection, a page at a time."""
        return self.objects_and_version(path, **query)[0]

    def objects_and_version(self, path: str, **query: str) -> tuple[list[Object], str]:
        """Read all objects of a collection; also returns the version that a watch of it goes on from."""
        items: list[Object] = []
        pages: dict[str, str] = {"limit": str(_PAGE_SIZE)}
        while True:
            try:
                page = self.get(path, **query, **pages)
            except Refused as error:
                if error.status != HTTPStatus.GONE or "continue" not in pages:
                    raise
                items, pages = [], {}  # the rest of the pages is gone: once more, at once
                continue
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            pages["continue"] = metadata["continue"]

    def find(self, path: str) -> Object | None:
        """Read one object; None when there is none, or none of its kind."""
        try:
            return self.get(path)
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def create(self, path: str, body: Object) -> Object:
        """Create an object."""
        answer: Object = json.loads(self._answer("POST", path, body=body))
        return answer

    def patch(self, path: str, body: Object) -> Object:
        """Change the fields of an object that `body` has (RFC 7386)."""
        answer: Object = json.loads(self._answer("PATCH", path, body=body))
        return answer

    def delete(self, path: str) -> None:
        """Delete an object and what it owns."""
        self._answer("DELETE", path, {"propagationPolicy": "Background"})

    @contextmanager
    def lines(self, path: str, query: Mapping[str, str], read_seconds: float) -> Iterator[Iterator[bytes]]:
        """Read an answer that goes on, line by line: a watch, a log.

        Args:
            path: path of the API.
            query: parameters.
            read_seconds: longest silence before the connection counts as lost.

        Raises:
            Refused: the server refused.
            urllib3.exceptions.HTTPError: while lines are read: the connection broke.
        """
        response = self._response("GET", path, query, None, read_seconds, watch="watch" in query)
        try:
            yield _lines(response.stream(amt=None, decode_content=False))
        finally:
            response.close()
            response.release_conn()

    def websocket(self, path: str, query: Mapping[str, str], protocol: str) -> Any:
        """Open a WebSocket with the credentials of every other call.

        The client's own `portforward` copies in a thread that dies with a traceback when a connection breaks, and
        leaves whoever reads waiting: only its way to connect is used.

        Args:
            path: path of the API.
            query: parameters.
            protocol: subprotocol to ask for.

        Raises:
            Refused: the server refused.
            Unreachable: nobody answered.
        """
        import websocket
        from kubernetes.stream import ws_client

        _, url, headers, _, _ = self._request("GET", path, query, None)
        names = {name.lower(): value for name, value in headers.items() if name.lower() == "authorization"}
        try:
            return ws_client.create_websocket(
                self.configuration,
                ws_client.get_websocket_url(url),
                {**names, "sec-websocket-protocol": protocol},
            )
        except websocket.WebSocketBadStatusException as error:
            body = error.resp_body if isinstance(error.resp_body, bytes) else b""
            raise refusal(error.status_code, body, access_of("GET", path), self.context) from error
        except (websocket.WebSocketException, OSError) as error:
            raise Unreachable(self.host, _why(error), self.context) from error

    def may(self, access: Access) -> bool:
        """Ask whether one has a right."""
        resource, _, below = access.resource.partition("/")
        attributes = {"verb": access.verb, "group": access.group, "resource": resource, "subresource": below}
        attributes |= {"namespace": access.namespace} if access.namespace else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool((answer.get("status") or {}).get("allowed"))

    def _answer(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> bytes:
        response = self._response(method, path, query or {}, body, _READ_SECONDS)
        try:
            content: bytes = response.read()
            return content
        finally:
            response.release_conn()

    def _response(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None,
        read_seconds: float,
        *,
        watch: bool = False,
    ) -> Any:
        """Return the answer as urllib3 has it, once its status says success."""
        import urllib3
        from kubernetes.client import ApiException

        pause = _FIRST_PAUSE_SECONDS
        for tries_left in reversed(range(_TRIES)):
            try:
                # Credentials may expire between two tries: the client fetches new ones while it builds a request.
                request = self._request(method, path, query, body)
                timeout = (_CONNECT_SECONDS, read_seconds)
                response = self._client.call_api(*request, _request_timeout=timeout).response
                if response.status < HTTPStatus.BAD_REQUEST:
                    return response
                content = response.read()
                response.release_conn()
            except (urllib3.exceptions.HTTPError, ApiException) as error:
                lost = Unreachable(self.host, _why(error), self.context)
                if method != "GET" or not tries_left or _is_hopeless(error):
                    raise lost from error
                wait = None
            else:
                refused = refusal(response.status, content, access_of(method, path, watch=watch), self.context)
                if not tries_left or not _worth_another_try(method, response.status):
                    raise refused
                wait = _retry_after(response.headers)
            self._sleep(min(pause * random.uniform(0.5, 1.0) if wait is None else wait, _LONGEST_PAUSE_SECONDS))  # noqa: S311
            pause *= 2
        raise AssertionError("the last try returns or raises")

    def _request(self, method: str, path: str, query: Mapping[str, str], body: Object | None) -> tuple[Any, ...]:
        """Return method, address, headers and body for the client."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _CONTENT_TYPES[method]
        request: tuple[Any, ...] = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        return request


def connect(context: str = "", namespace: str = "") -> ClusterApi:
    """Return the API of the cluster that the kubeconfig names, or of the cluster that this process runs in.

    Args:
        context: context of the kubeconfig; empty is its current one.
        namespace: namespace of the mesh; empty is the context's, else "default".

    Raises:
        CommandFailed: there is no cluster to be found, or the `kubernetes` package is missing.
    """
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"cluster commands need the package {error.name}",
            "Install it with: pip install 'marquee[cli,cluster]'",
            EXIT_WRONG_INPUT,
        ) from error
    # The client's packages log failed logins and broken connections, which the commands tell in words of their own.
    logging.getLogger().addHandler(logging.NullHandler())
    configuration = client.Configuration()
    if not context and "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except ConfigException as error:
            raise CommandFailed(f"this container has no credentials for its cluster: {error}") from error
        own = _OWN_NAMESPACE.read_text().strip() if _OWN_NAMESPACE.is_file() else "default"
        return ClusterApi(configuration, namespace or own)
    try:
        file = os.environ.get("KUBECONFIG")  # the client looks only once, when it is imported
        contexts, current = config.list_kube_config_contexts(config_file=file)
        names = [str(one["name"]) for one in contexts]
        if context and context not in names:
            raise CommandFailed(
                f"the kubeconfig has no context {context!r}", f"It has: {', '.join(names)}", EXIT_WRONG_INPUT
            )
        chosen = next((one for one in contexts if one["name"] == context), current)
        config.load_kube_config(file, context=chosen["name"], client_configuration=configuration)
    except ConfigException as error:
        raise CommandFailed(
            f"no cluster is chosen: {str(error).rstrip('.')}",
            "Get a kubeconfig of your cluster (KUBECONFIG names the file, else ~/.kube/config), and choose one of its "
            "contexts with --context.",
            EXIT_FAILED,
        ) from error
    known = (chosen.get("context") or {}).get("namespace")
    return ClusterApi(configuration, namespace or known or "default", str(chosen["name"]))


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _worth_another_try(method: str, status: int) -> bool:
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):  # it did nothing
        return True
    return method == "GET" and status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _is_hopeless(error: Exception) -> bool:
    """Tell whether the next try will fail like this one: nobody listens, no such name, a wrong certificate."""
    words = str(error)
    return any(word in words for word in ("refused", "Name or service not known", "resolve", "CERTIFICATE_VERIFY"))


def _why(error: BaseException) -> str:
    words = f"{getattr(error, 'reason', '') or ''} {error}"
    for sign, meaning in (
        ("CERTIFICATE_VERIFY", "its certificate is not the one that the kubeconfig trusts"),
        ("refused", "connection refused"),
        ("not known", "no such host"),
        ("resolve", "no such host"),
        ("timed out", "no answer in time"),
        ("reset", "the connection broke"),
        ("aborted", "the connection broke"),
    ):
        if sign in words:
            return meaning
    return type(error).__name__
