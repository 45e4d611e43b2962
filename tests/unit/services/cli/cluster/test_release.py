from __future__ import annotations

import pytest

from services.cli.cluster.api import ClusterApi
from services.cli.cluster.options import Where
from services.cli.cluster.release import find_release, name_of, port_of, state_of
from services.cli.failures import CommandFailed
from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import deployment, fill, pod

DEPLOYMENTS = "/apis/apps/v1/namespaces/media/deployments"
PODS = "/api/v1/namespaces/media/pods"


def test_it_is_found_by_its_labels(cluster: FakeCluster, api: ClusterApi) -> None:
    fill(cluster, release="films")
    found = find_release(api, Where())
    assert (found.name, found.namespace) == ("films", "media")
    assert found.components == ["orchestrator", "text", "vision", "classical"]
    assert [name_of(one) for one in found.pods("text")] == ["films-text-0"]
    assert port_of(found.deployment("vision"), "grpc") == 50062
    assert port_of(found.ready_pod("vision"), "health") == 50070


def test_one_of_several_has_to_be_named(cluster: FakeCluster, api: ClusterApi) -> None:
    for release in ("a", "b"):
        cluster.put(DEPLOYMENTS, deployment("text", release=release))
    with pytest.raises(CommandFailed, match="several releases: a, b") as caught:
        find_release(api, Where())
    assert caught.value.advice == "Say which with --release."
    assert find_release(api, Where(release="b")).name == "b"
    with pytest.raises(CommandFailed, match="no release 'c'") as caught:
        find_release(api, Where(release="c"))
    assert caught.value.advice == "It has: a, b"


def test_none_here_tells_of_those_elsewhere(cluster: FakeCluster, api: ClusterApi) -> None:
    fill(cluster, namespace="films")
    with pytest.raises(CommandFailed, match="no Marquee release in namespace media") as caught:
        find_release(api, Where())
    assert "marquee in namespace films" in caught.value.advice
    cluster.denied = {("list", "deployments")}
    with pytest.raises(CommandFailed, match="no right to list deployments"):
        find_release(api, Where())


def test_none_anywhere_tells_how_to_install(cluster: FakeCluster, api: ClusterApi) -> None:
    with pytest.raises(CommandFailed) as caught:
        find_release(api, Where())
    assert "helm install marquee charts/marquee --namespace media" in caught.value.advice


def test_an_unknown_component(cluster: FakeCluster, api: ClusterApi) -> None:
    fill(cluster)
    with pytest.raises(CommandFailed, match="no component 'texts'") as caught:
        find_release(api, Where()).deployment("texts")
    assert caught.value.advice == "It has: orchestrator, text, vision, classical"


def test_no_ready_pod_says_what_the_pods_wait_for(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.put(DEPLOYMENTS, deployment("text"))
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    cluster.put(PODS, pod("text", ready=False, state=waiting))
    with pytest.raises(CommandFailed, match="no pod of text is ready in namespace media") as caught:
        find_release(api, Where()).ready_pod("text")
    assert "marquee-text-0: CrashLoopBackOff: back-off 40s" in caught.value.advice


def test_states_of_pods() -> None:
    assert state_of(pod("text")) == "ready"
    assert state_of(pod("text", ready=False)) == "running, not ready"
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    assert state_of(pod("text", ready=False, state=ended)) == "OOMKilled with exit code 137"
    pending = pod("text", ready=False)
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pending["status"] = {"phase": "Pending", "conditions": [unscheduled]}
    assert state_of(pending) == "Unschedulable: 0/3 nodes"
