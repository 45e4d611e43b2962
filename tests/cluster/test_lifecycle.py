"""Install, test, upgrade, rollback, uninstall: the life of a release with the default store, in this order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.cli.cluster.mesh import orchestrator
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import COMPONENTS, name_of
from services.cli.cluster.workload_settings import setting_of
from tests.cluster.cluster import Cluster, objects_left
from tests.cluster.helm import Helm
from tests.cluster.mesh import RELEASE, Namespaces
from tests.cluster.settings import ClusterTestSettings
from tests.cluster.small_catalogue import fill

_SETTING = "MARQUEE_CLASSICAL_MAXIMUM_CALLS"


@pytest.fixture(scope="module")
def helm(
    cluster: Cluster, settings: ClusterTestSettings, namespaces: Namespaces, values: dict[str, Any], images: None
) -> Iterator[Helm]:
    """The release, not installed yet, in a namespace where the restricted profile is enforced."""
    namespace = namespaces.make("life")
    yield Helm(RELEASE, namespace, values, settings.context, settings.patience_seconds)
    if not settings.keep:
        namespaces.delete(namespace)


def pods_of(cluster: Cluster, helm: Helm) -> dict[str, str]:
    """Return the name of the one pod of each component."""
    release = cluster.release(helm.namespace, RELEASE)
    found = {name: [name_of(pod) for pod in cluster.ready_pods(release, name)] for name in COMPONENTS}
    assert all(len(names) == 1 for names in found.values()), found
    return {name: names[0] for name, names in found.items()}


def test_it_serves_soon_after_install(
    cluster: Cluster, settings: ClusterTestSettings, helm: Helm, tell: Callable[[str], None]
) -> None:
    began = time.monotonic()
    helm.install()
    seconds = time.monotonic() - began

    tell(f"helm install to SERVING: {seconds:.1f} s")
    assert set(pods_of(cluster, helm)) == set(COMPONENTS)
    assert seconds <= settings.serving_seconds


def test_helm_test_passes(helm: Helm) -> None:
    said = " ".join(helm.test().split())

    assert "Phase: Succeeded" in said


def test_it_recommends_through_a_forwarded_port(cluster: Cluster, helm: Helm) -> None:
    with orchestrator(cluster.release(helm.namespace, RELEASE)) as client:
        fill(client)
        answer = client.recommend("user-1", page_size=10)

    assert len({item.item_id for item in answer.items}) == 10
    assert not answer.degraded


def test_the_profile_is_enforced(cluster: Cluster, helm: Helm) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "too-free", "namespace": helm.namespace},
        "spec": {"containers": [{"name": "it", "image": "none", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(Refused, match=r"no right to|PodSecurity"):
        cluster.create(helm.namespace, "pods", pod)


def test_an_upgrade_starts_only_the_pods_whose_values_changed(cluster: Cluster, helm: Helm) -> None:
    before = pods_of(cluster, helm)

    helm.upgrade("classical.settings.maximum_calls=2048")

    release = cluster.release(helm.namespace, RELEASE)
    for component in COMPONENTS:
        cluster.rolled_out(release, component)
    assert setting_of(release, release.deployment("classical"), _SETTING) == "2048"
    after = pods_of(cluster, helm)
    assert {name for name in COMPONENTS if before[name] != after[name]} == {"classical"}


def test_a_rollback_takes_it_back_and_keeps_what_was_stored(cluster: Cluster, helm: Helm) -> None:
    helm.rollback()

    release = cluster.release(helm.namespace, RELEASE)
    cluster.rolled_out(release, "classical")
    assert helm.revision() == 3
    assert setting_of(release, release.deployment("classical"), _SETTING) is None
    with orchestrator(release) as client:
        assert len(list(client.list_user_events("user-1"))) == 15


def test_uninstall_leaves_nothing(cluster: Cluster, helm: Helm) -> None:
    helm.uninstall()

    # Volumes go when the last pod that had them is gone.
    selectors = (f"app.kubernetes.io/instance={RELEASE}", f"owner=helm,name={RELEASE}")

    def left() -> list[str]:
        return [one for selector in selectors for one in objects_left(cluster.api, helm.namespace, selector)]

    cluster.until(lambda: not left(), lambda: f"left: {left()}")
