"""Load on the mesh from a pod inside its cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.cluster import Cluster
from tests.cluster.load_pod import NAME, LoadReport, load_pod, read_report

_DEADLINE_SECONDS = 10
_LONGEST_SECONDS = 3600


class RunningLoad:
    """A load that goes on.

    Args:
        cluster: where its pod runs.
        namespace: its namespace.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def report(self) -> LoadReport:
        """Return what its callers saw so far."""
        return read_report(self._cluster.log(self._namespace, NAME))

    def calls(self) -> bool:
        """Tell whether calls of all kinds have come back."""
        log = self._cluster.log(self._namespace, NAME)
        return '{"seconds"' in log and read_report(log).total > len(read_report(log).calls) > 0

    def settled_report(self) -> LoadReport:
        """Return what its callers saw, once every call that was made until now has its answer or its error."""
        time.sleep(_DEADLINE_SECONDS + 1)
        return self.report()


@contextmanager
def running_load(
    cluster: Cluster, namespace: str, test_pod: dict[str, object], **variables: str
) -> Iterator[RunningLoad]:
    """Run the load program in a pod for the length of a block; begins when calls come back.

    Args:
        cluster: where.
        namespace: of the mesh.
        test_pod: the pod of `helm test`.
        variables: of the load program.
    """
    limits = {"LOAD_DEADLINE_SECONDS": str(_DEADLINE_SECONDS), "LOAD_SECONDS": str(_LONGEST_SECONDS)}
    cluster.create(namespace, "pods", load_pod(test_pod, namespace, {**limits, **variables}))
    path = f"/api/v1/namespaces/{namespace}/pods/{NAME}"
    load = RunningLoad(cluster, namespace)
    try:
        cluster.until(load.calls, lambda: f"the load does not call: {cluster.log(namespace, NAME)[-1500:]}")
        yield load
    finally:
        cluster.api.delete(path)
        cluster.until(lambda: cluster.api.find(path) is None, "the load's pod does not go away")
