"""What the Kubernetes API refused, in words that say what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from services.cli.failures import EXIT_FAILED, EXIT_NO_MESH, CommandFailed

_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
_SCOPED_PARTS = 2


@dataclass(frozen=True)
class Access:
    """One thing that somebody may or may not do.

    Attributes:
        verb: for example "list".
        resource: with its subresource, for example "deployments/scale".
        group: API group; empty for the core one.
        namespace: empty for what belongs to no namespace.
        name: of the object; empty for all.
    """

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else " in the cluster"
        group = f" ({self.group})" if self.group else ""
        return f"{self.verb} {self.resource}{group}{where}"

    @property
    def rule(self) -> str:
        """The rule that grants it, as YAML of a Role or ClusterRole."""
        return f'- apiGroups: ["{self.group}"]\n  resources: ["{self.resource}"]\n  verbs: ["{self.verb}"]'


def access_of(method: str, path: str, *, watch: bool = False) -> Access:
    """Return what a request asks for.

    Args:
        method: HTTP method.
        path: path of the API, for example "/apis/apps/v1/namespaces/media/deployments/marquee-text/scale".
        watch: the request is a watch.
    """
    parts = path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" else ""
    parts = parts[3:] if parts[0] == "apis" else parts[2:]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > _SCOPED_PARTS:
        namespace, parts = parts[1], parts[2:]
    resource, name, *below = [*parts, "", ""][: max(2, len(parts))]
    if below and below[0]:
        resource = f"{resource}/{below[0]}"
    verb = _VERBS.get(method) or ("watch" if watch else "get" if name else "list")
    return Access(verb, resource, group, namespace, name)


class Refused(CommandFailed):
    """The API server answered with an error.

    Attributes:
        status: HTTP status code.
        reason: Kubernetes' word for it, for example "Forbidden"; may be empty.
        access: what was asked for.
    """

    def __init__(self, message: str, advice: str, status: int, reason: str, access: Access) -> None:
        super().__init__(message, advice, EXIT_NO_MESH if status >= HTTPStatus.INTERNAL_SERVER_ERROR else EXIT_FAILED)
        self.status = status
        self.reason = reason
        self.access = access


class Unreachable(CommandFailed):
    """No API server answered."""

    def __init__(self, host: str, why: str, context: str) -> None:
        super().__init__(
            f"no Kubernetes API answers at {host}: {why}",
            f"Is the cluster up, and are you on its network? Look with: kubectl {_context(context)}cluster-info\n"
            "Another cluster is chosen with --context.",
            EXIT_NO_MESH,
        )


def refusal(status: int, body: bytes, access: Access, context: str) -> Refused:
    """Return an answer of the API server that is no success as an error.

    Args:
        status: HTTP status code.
        body: body of the answer: a `Status` object, or anything.
        access: what was asked for.
        context: name of the kubeconfig's context; empty inside a cluster.
    """
    said = _status(body)
    reason, message = str(said.get("reason", "")), str(said.get("message", "")) or body[:200].decode(errors="replace")
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return Refused(
                "the cluster does not accept your credentials: they expired, or belong to another cluster",
                f"Log in again, then try: kubectl {_context(context)}auth whoami",
                status,
                reason,
                access,
            )
        case HTTPStatus.FORBIDDEN:
            kind = f"a Role in namespace {access.namespace}" if access.namespace else "a ClusterRole"
            return Refused(
                f"no right to {access}",
                f"Ask for this rule in {kind} that is bound to you:\n{access.rule}",
                status,
                reason,
                access,
            )
        case HTTPStatus.NOT_FOUND if access.name:
            what = f"{_singular(access.resource)} {access.name}"
            where = f" in namespace {access.namespace}" if access.namespace else ""
            return Refused(f"there is no {what}{where}", "", status, reason, access)
        case HTTPStatus.NOT_FOUND:
            return Refused(
                f"this cluster does not know {access.resource}{f' of {access.group}' if access.group else ''}",
                "Is it older than Kubernetes 1.30? `marquee cluster doctor` says.",
                status,
                reason,
                access,
            )
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Refused(
                "the Kubernetes API has too much to do, and still had after several tries",
                message,
                status,
                reason,
                access,
            )
    return Refused(f"the Kubernetes API could not {access}: {message or status}", "", status, reason, access)


def _singular(resource: str) -> str:
    plural = resource.partition("/")[0]
    return f"{plural[:-3]}y" if plural.endswith("ies") else plural.removesuffix("s")


def _status(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _context(context: str) -> str:
    return f"--context {context} " if context else ""
