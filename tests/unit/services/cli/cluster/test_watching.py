from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from services.cli.cluster.api import ClusterApi
from services.cli.cluster.refusals import Refused
from services.cli.cluster.watching import snapshots
from tests.support.kubernetes_api import FakeCluster, Fault
from tests.support.kubernetes_objects import pod

PODS = "/api/v1/namespaces/media/pods"
NAMES = {f"marquee-text-{number}" for number in range(3)}


def follow(
    cluster: FakeCluster, api: ClusterApi, wanted: set[str], *steps: Callable[[], object], seconds: float = 30.0
) -> list[set[str]]:
    """Watch until these pods are seen; do one step after each snapshot that differs from the one before."""
    seen: list[set[str]] = []
    left = list(steps)
    for found in snapshots(api, PODS, seconds, every=1, labelSelector="app.kubernetes.io/name=marquee"):
        if not seen or set(found) != seen[-1]:
            seen.append(set(found))
            if left:
                step = left.pop(0)
                threading.Timer(0.05, step).start()
        if set(found) == wanted and not left:
            break
    return seen


def test_each_change_is_seen(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.put(PODS, pod("text", 0))
    seen = follow(
        cluster,
        api,
        {"marquee-text-1"},
        lambda: cluster.put(PODS, pod("text", 1)),
        lambda: cluster.remove(f"{PODS}/marquee-text-0"),
    )
    assert seen == [{"marquee-text-0"}, {"marquee-text-0", "marquee-text-1"}, {"marquee-text-1"}]
    assert cluster.count("GET", "limit=") == 1


def test_a_dropped_watch_goes_on_from_the_last_version(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.put(PODS, pod("text", 0))

    def drop_and_add() -> None:
        cluster.drop_watches()
        cluster.put(PODS, pod("text", 1))
        cluster.drop_watches()
        cluster.put(PODS, pod("text", 2))

    follow(cluster, api, NAMES, drop_and_add)
    assert cluster.count("GET", "limit=") == 1  # nothing was listed again
    assert cluster.count("GET", "watch=") >= 2


def test_an_expired_version_begins_with_a_new_list(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.put(PODS, pod("text", 0))

    def expire() -> None:
        with cluster.changed:
            cluster.put(PODS, pod("text", 1))
            cluster.put(PODS, pod("text", 2))
            cluster.expire_versions()

    follow(cluster, api, NAMES, expire)
    assert cluster.count("GET", "limit=") == 2


def test_410_instead_of_a_watch_begins_with_a_new_list(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.faults = [Fault("watch=", 410)]
    cluster.put(PODS, pod("text", 0))
    follow(cluster, api, NAMES, lambda: [cluster.put(PODS, pod("text", number)) for number in (1, 2)])
    assert cluster.count("GET", "limit=") == 2


def test_no_right_to_watch_is_said(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.denied = {("watch", "pods")}
    with pytest.raises(Refused, match="no right to watch pods in namespace media"):
        list(snapshots(api, PODS, 5))


def test_it_ends_when_the_time_is_over(cluster: FakeCluster, api: ClusterApi) -> None:
    begin = time.monotonic()
    assert list(snapshots(api, PODS, 1.2, every=1))[-1] == {}
    assert time.monotonic() - begin < 10
