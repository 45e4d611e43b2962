from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.cluster.api import ClusterApi, connect
from services.cli.cluster.refusals import Access, Refused, Unreachable, access_of
from services.cli.failures import EXIT_NO_MESH, EXIT_WRONG_INPUT, CommandFailed
from services.cli.ports import free_ports
from tests.support.kubernetes_api import FakeCluster, Fault, write_kubeconfig
from tests.support.kubernetes_objects import namespace_object, pod

PODS = "/api/v1/namespaces/media/pods"


@pytest.fixture
def pauses(api: ClusterApi, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(api, "_sleep", found.append)
    return found


def test_the_context_names_the_namespace(cluster: FakeCluster) -> None:
    assert connect().namespace == "media"
    assert connect("other").namespace == "elsewhere"
    assert connect("other", "mine").namespace == "mine"


def test_a_busy_server_is_given_the_time_it_asks_for(
    cluster: FakeCluster, api: ClusterApi, pauses: list[float]
) -> None:
    cluster.put(PODS, pod("text"))
    cluster.faults = [Fault("/pods", 429, times=2, headers={"Retry-After": "7"})]
    assert [one["metadata"]["name"] for one in api.objects(PODS)] == ["marquee-text-0"]
    assert pauses == [7.0, 7.0]


def test_failures_of_the_server_are_tried_again_with_growing_pauses(
    cluster: FakeCluster, api: ClusterApi, pauses: list[float]
) -> None:
    cluster.faults = [Fault("/pods", 500, times=3), Fault("/pods", 503, times=1), Fault("/pods", 0, drops=True)]
    assert api.objects(PODS) == []
    assert len(pauses) == 5
    assert pauses[4] > pauses[0]


def test_a_server_that_stays_broken_is_said_to_be(cluster: FakeCluster, api: ClusterApi, pauses: list[float]) -> None:
    cluster.faults = [Fault("/pods", 500, times=100)]
    with pytest.raises(Refused, match="could not list pods in namespace media: as the test wanted") as caught:
        api.objects(PODS)
    assert caught.value.exit_code == EXIT_NO_MESH
    assert len(pauses) == 5


def test_a_write_is_not_repeated_when_it_may_have_been_done(
    cluster: FakeCluster, api: ClusterApi, pauses: list[float]
) -> None:
    cluster.faults = [Fault("/namespaces", 500, method="POST"), Fault("/namespaces", 429, method="POST")]
    with pytest.raises(Refused):
        api.create("/api/v1/namespaces", namespace_object("new"))
    assert cluster.count("POST", "/namespaces") == 1
    api.create("/api/v1/namespaces", namespace_object("new"))  # 429 says that nothing was done
    assert cluster.count("POST", "/namespaces") == 3


def test_all_pages_of_a_list_are_read(cluster: FakeCluster, api: ClusterApi) -> None:
    for number in range(5):
        cluster.put(PODS, pod("text", number))
    cluster.page_size = 2
    assert len(api.objects(PODS)) == 5
    assert cluster.count("GET", "continue=") == 2
    cluster.faults = [Fault("continue=4", 410)]  # the rest is gone: from the beginning
    assert len(api.objects(PODS)) == 5


def test_fields_of_a_newer_server_do_no_harm(cluster: FakeCluster, api: ClusterApi) -> None:
    stored = cluster.put(PODS, pod("text"))
    stored["spec"]["inventedIn2030"] = {"x": 1}  # the client's own models would refuse it
    assert api.objects(PODS)[0]["spec"]["inventedIn2030"] == {"x": 1}


def test_expired_credentials(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.token = "another"
    with pytest.raises(Refused, match="does not accept your credentials") as caught:
        api.objects(PODS)
    assert "kubectl --context fake auth whoami" in caught.value.advice


def test_a_missing_right_is_told_with_the_rule_that_grants_it(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.denied = {("list", "deployments")}
    with pytest.raises(Refused) as caught:
        api.objects("/apis/apps/v1/namespaces/media/deployments")
    assert str(caught.value) == "no right to list deployments (apps) in namespace media"
    assert '- apiGroups: ["apps"]\n  resources: ["deployments"]\n  verbs: ["list"]' in caught.value.advice
    assert "a Role in namespace media" in caught.value.advice


def test_asking_for_a_right(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.denied = {("patch", "deployments/scale")}
    assert api.may(Access("get", "deployments/scale", "apps", "media"))
    assert not api.may(Access("patch", "deployments/scale", "apps", "media"))


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    write_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(Unreachable, match=rf"no Kubernetes API answers at http://127.0.0.1:{port}: connection refused"):
        connect().objects(PODS)


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(CommandFailed, match="no cluster is chosen"):
        connect()


def test_a_context_that_is_not_there(cluster: FakeCluster) -> None:
    with pytest.raises(CommandFailed, match="no context 'prod'") as caught:
        connect("prod")
    assert caught.value.advice == "It has: fake, other"
    assert caught.value.exit_code == EXIT_WRONG_INPUT


@pytest.mark.parametrize(
    ("method", "path", "watch", "said"),
    [
        ("GET", "/api/v1/namespaces/media", False, "get namespaces in the cluster"),
        ("GET", "/api/v1/namespaces/media/pods", True, "watch pods in namespace media"),
        ("GET", "/api/v1/namespaces/media/pods/a/log", False, "get pods/log in namespace media"),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/m/deployments/a/scale",
            False,
            "patch deployments/scale (apps) in namespace m",
        ),
        ("POST", "/apis/batch/v1/namespaces/m/jobs", False, "create jobs (batch) in namespace m"),
    ],
)
def test_what_a_request_asks_for(method: str, path: str, watch: bool, said: str) -> None:
    assert str(access_of(method, path, watch=watch)) == said
